"""What the server runs: an application set up from the environment."""

import os

from myapplication.factory import create_app
from myapplication.settings import Settings

app = create_app(Settings.load(os.environ))
