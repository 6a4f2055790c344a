# Brings a model from S3 to a folder, whole and checked, or finds it there.
#
#   SOURCE  s3://BUCKET/MODEL
#   TARGET  the folder of models: the files go to TARGET/MODEL
#
# The AWS CLI holds each file against the checksum that S3 has of it (since 2.34.33
# also a file that it gets in parts, with its classic client), and gives it its name
# only then. When all are there, the list of them as S3 has it, with sizes and ETags,
# is kept in TARGET/.aicluster; a list that is still S3's, of files that still have
# their sizes, means that there is nothing to do.
set -eu
umask 022
path=${SOURCE#s3://} model=${SOURCE##*/}
bucket=${path%%/*} prefix=${path#*/}/
folder=$TARGET/$model state=$TARGET/.aicluster
me=${HOSTNAME:-$(uname -n)}
own=$state/$model.$me lock=$state/$model.lock known=$state/$model.files
tab=$(printf '\t')

export AWS_CONFIG_FILE=${TMPDIR:-/tmp}/$me.aws AWS_RESPONSE_CHECKSUM_VALIDATION=when_supported AWS_PAGER=
printf '[default]\ns3 =\n  preferred_transfer_client = classic\n  max_concurrent_requests = 32\n' >"$AWS_CONFIG_FILE"

fail() { echo "$*" >&2; exit 1; }

# listed prints the model's files in S3, one a line: size, ETag, key.
listed() {
  aws s3api list-objects-v2 --bucket "$bucket" --prefix "$prefix" --output text \
    --query "Contents[?!ends_with(Key, '/')].[Size,ETag,Key]" >"$own.list"
  files=$(cat "$own.list")
  case $files in '' | None) fail "there is nothing at $SOURCE/" ;; esac
  echo "$files"
}

# complete tells whether the files of the list $1 are in the folder.
complete() {
  echo "$1" | while IFS=$tab read -r size _ key; do
    file=$folder/${key#"$prefix"}
    [ -f "$file" ] && [ "$(wc -c <"$file")" -eq "$size" ] || exit 1
  done
}

present() { [ -f "$known" ] && [ "$(cat "$known")" = "$wanted" ] && complete "$wanted"; }

# stale tells that the pod of a lock is gone: while it copies, it touches its lock.
stale() { [ -n "$(find "$1" -mmin +2 2>/dev/null)" ]; }

# take waits for the lock. One of this pod is of an earlier try.
take() {
  said=
  echo "$me" >"$own"
  until ln "$own" "$lock" 2>/dev/null; do
    holder=$(cat "$lock" 2>/dev/null || :)
    if [ "$holder" = "$me" ]; then
      rm -f "$lock"
    elif stale "$lock"; then
      mv "$lock" "$own.dead" 2>/dev/null || continue
      stale "$own.dead" || ln "$own.dead" "$lock" 2>/dev/null || : # another was faster
      rm -f "$own.dead"
    else
      [ -n "$said" ] || echo "$holder copies $model to the same place: waiting for it"
      said=1
      sleep "${PAUSE:-5}"
    fi
  done
  (while sleep 10; do touch "$own"; done) >/dev/null 2>&1 &
  beat=$!
}

end() {
  trap - EXIT TERM INT
  for process in ${copy:-} ${beat:-}; do kill "$process" 2>/dev/null || :; done
  [ -z "${beat:-}" ] || rm -f "$lock"
  rm -f "$own" "$own.list" "$AWS_CONFIG_FILE"
  exit "$1"
}
trap 'end $?' EXIT
trap 'end 143' TERM INT

mkdir -p "$state"
wanted=$(listed)
if present; then
  echo "$model is there, as it is in S3"
  exit
fi
take
if present; then
  echo "$model is there now, as it is in S3"
  exit
fi
rm -f "$known"
mkdir -p "$folder"
echo "copying $model: $(echo "$wanted" | wc -l) files"
aws s3 sync --delete --exact-timestamps --only-show-errors "$SOURCE/" "$folder/" &
copy=$!
wait $copy
copy=
[ "$(listed)" = "$wanted" ] || fail "$SOURCE/ was changed while it was copied"
complete "$wanted" || fail "not all files of $model have the size that S3 says"
echo "$wanted" >"$own.list"
mv "$own.list" "$known"
echo "$model is copied"
