"""How gunicorn serves the application. Gunicorn picks this file up from the working directory."""

import os
import sys

from myapplication.settings import Settings, SettingsError

# This runs before anything else, so a wrong setting ends the server here, with one line instead of a traceback.
try:
    settings = Settings.load(os.environ)
except SettingsError as error:
    sys.exit(f"myapplication: {error}")

wsgi_app = "myapplication.wsgi:app"
bind = f"0.0.0.0:{settings.port}"

# The notes live in the memory of one process: a second worker would have a guest book of its own, and a worker replaced
# after `max_requests` would forget everything. Hence one worker for as long as it lives, and threads for concurrency.
worker_class = "gthread"
workers = 1
threads = settings.threads
max_requests = 0

# The heartbeat between server and worker, in the system's folder for temporary files, is all that is ever written.
control_socket_disable = True

# `docker stop` kills after ten seconds; be done before.
timeout = 30
graceful_timeout = 8
keepalive = 5

# Start, stop and failures go to standard error. There is no access log: health checks would drown everything else, and
# what is in front of the application keeps one.
accesslog = None
errorlog = "-"
loglevel = "info"
