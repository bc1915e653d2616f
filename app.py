"""ChatReID: find one person among camera crops by talking. `python app.py --help` lists every setting."""

import sys

from app.settings import Settings, SettingsError
from app.ui.start import StartError, open_engine, prepare


def main() -> int:
    """Settings -> engine -> UI -> launch. Exit 2, with one sentence, when it cannot start."""
    try:
        settings = Settings.parse()
        prepare(settings)
        engine = open_engine(settings)
        from app.ui.server import serve  # Gradio reads the environment when it is imported

        serve(settings, engine)
    except (SettingsError, StartError) as problem:
        print(f"chatreid: {problem}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
