# What a node of aws.yaml or gcp.yaml has in its environment. Sourced before Ray starts, and by
# ~/.bashrc, so that `ray exec`, `ray attach` and `ray down` find Ray and the token.
export PATH="$HOME/venv/bin:$PATH"
# Whoever reaches Ray's ports without the token of ~/.ray/auth_token is refused.
export RAY_AUTH_MODE=token
# Ray's launcher says 1, and every training process would inherit that.
unset OMP_NUM_THREADS
chmod 600 ~/.ray/auth_token ~/.seedbed/cluster.env ~/.mlflow/credentials
if [ -e ~/.aws/credentials ]; then chmod 600 ~/.aws/credentials; fi  # of gcp.yaml
set -a
. ~/.seedbed/cluster.env
set +a
