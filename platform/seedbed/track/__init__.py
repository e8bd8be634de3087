"""What happened: trial records, the ledger that keeps them, MLflow, and reading it back."""

import os

# MLflow's client reads these at each request (and the telemetry switch at its import). Its own
# retries take minutes and its finished runs print links on stdout; we retry in the writer, and
# stdout holds results only. What a person has set stays as it is.
for _name, _value in {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
}.items():
    os.environ.setdefault(_name, _value)
