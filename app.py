"""ChatReID: find one person among camera crops by talking. `python app.py --help` lists every setting."""

import sys

from app.settings import Settings, SettingsError
from app.startup import StartError, open_engine, open_uploads, prepare


def main() -> int:
    """Settings -> engine -> session -> UI -> launch. Exit 2, with one sentence, when it cannot start."""
    try:
        settings = Settings.parse()
        prepare(settings)
        engine = open_engine(settings)
        uploads = open_uploads(settings, engine.store)
        from app.service import ChatService
        from app.ui.server import serve  # Gradio reads the environment when it is imported

        given = ("session_hours", "model_reads", "needs_reason", "users")
        service = ChatService(engine, uploads, **{name: getattr(settings, name) for name in given})
        serve(settings, service, uploads)
    except (SettingsError, StartError) as problem:
        print(f"chatreid: {problem}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
