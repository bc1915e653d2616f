"""The models on Ray Serve: replicas that answer over HTTP, and the clients that stand in their place in the app.

`python -m app.model.served` puts them on a Ray; docs/deployment.md has how.
"""
