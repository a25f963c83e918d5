#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Checks the fake S3 with clients that this project did not write: curl for HTTP, the aws CLI for signatures and
# XML, dd and cmp for the bytes. A fake that shares its client's misreading of a specification proves nothing.
#   check_fake_s3.sh PATH/TO/tmpdump-origin
set -euo pipefail

origin=$1
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
if [[ -x $top/tools/python-venv ]]; then
  PATH=$(dirname "$("$top/tools/python-venv")"):$PATH
fi
command -v aws >/dev/null || { echo "check_fake_s3: no aws CLI; tools/python-venv installs it" >&2; exit 1; }

work=$(mktemp -d)
pids=()
cleanup() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  rm -rf "$work"
}
trap cleanup EXIT

export AWS_ACCESS_KEY_ID=AKIDEXAMPLE AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY
export AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1 AWS_EC2_METADATA_DISABLED=true AWS_MAX_ATTEMPTS=1
export AWS_SHARED_CREDENTIALS_FILE=/dev/null AWS_CONFIG_FILE=$work/config AWS_PAGER=''
unset AWS_SESSION_TOKEN AWS_PROFILE AWS_ENDPOINT_URL
printf '[default]\ns3 =\n  addressing_style = path\n  signature_version = s3v4\n' >"$AWS_CONFIG_FILE"

# Sets `url` to that of a new origin with the options given.
start() {
  local line
  exec {fd}< <(exec "$origin" "$@")
  pids+=($!)
  read -r -t 30 line <&"$fd" || fail "tmpdump-origin $* does not start"
  url=${line#listening }
}
fail() {
  echo "check_fake_s3: $*" >&2
  exit 1
}
# check WHAT COMMAND...: the command succeeds.
check() {
  local what=$1
  shift
  "$@" || fail "$what"
  echo "ok: $what"
}
# refused WHAT CODE COMMAND...: the command fails and says CODE.
refused() {
  local what=$1 code=$2
  shift 2
  if "$@" >"$work/refused" 2>&1; then fail "$what: was allowed"; fi
  grep -q -F "$code" "$work/refused" || { cat "$work/refused" >&2; fail "$what: does not say $code"; }
  echo "ok: $what"
}
# says TEXT COMMAND...: the command's output holds TEXT.
says() {
  local text=$1
  shift
  "$@" >"$work/said" || return 1
  grep -q -i -F -- "$text" "$work/said" || { cat "$work/said" >&2; return 1; }
}
status_of() { curl -s -o /dev/null -w '%{http_code}' "$@"; }
same() { cmp "$1" "$2"; }

mkdir -p "$work/root/bucket/dir" "$work/root/other"
file=$work/root/bucket/dir/file.bin
head -c 1000003 /dev/urandom >"$file"
size=1000003
odd="dir/a b+c~(1)'ü=&.txt"
echo odd >"$work/root/bucket/$odd"

echo "# curl: ranges"
start --root "$work/root"
target=$url/bucket/dir/file.bin
curl_range() { curl -sf -r "$1" -o "$work/got" "$target"; }
slice() { dd if="$file" of="$work/want" iflag=skip_bytes,count_bytes skip="$1" count="$2" status=none; }
range_is() { curl_range "$1" && slice "$2" "$3" && same "$work/got" "$work/want"; }
check "the whole" eval 'curl -sf -o "$work/got" "$target" && same "$work/got" "$file"'
check "-r 0-0" range_is 0-0 0 1
check "-r 5-" range_is 5- 5 $((size - 5))
check "-r -7" range_is -7 $((size - 7)) 7
check "-r 100000-300000" range_is 100000-300000 100000 200001
check "the last byte" range_is $((size - 1))-$((size - 1)) $((size - 1)) 1
check "an end past the end" range_is 1000000-2000000 1000000 3
check "a suffix longer than the object" range_is -2000000 0 "$size"
check "past the end is 416" test "$(status_of -r $size- "$target")" = 416
check "416 tells the size" says "content-range: bytes */$size" curl -s -D - -o /dev/null -r $size- "$target"
check "206 tells the range" says "content-range: bytes 5-9/$size" curl -s -D - -o /dev/null -r 5-9 "$target"
check "HEAD tells the length" says "content-length: $size" curl -sI "$target"
etag=$(curl -sI "$target" | tr -d '\r' | sed -n 's/^ETag: //p')
check "If-Match holds" test "$(status_of -H "If-Match: $etag" -r 0-9 "$target")" = 206
check "If-Match fails" test "$(status_of -H 'If-Match: "x"' -r 0-9 "$target")" = 412
check "no such key" says '<Code>NoSuchKey</Code>' curl -s "$url/bucket/none"
port=${url##*:}
virtual_hosted() {
  curl -sf --resolve "bucket.localhost:$port:127.0.0.1" -o "$work/got" "http://bucket.localhost:$port/dir/file.bin" &&
    same "$work/got" "$file"
}
check "virtual-hosted style" virtual_hosted
check "a connection is reused" test \
  "$(curl -s -o /dev/null -o /dev/null -w '%{num_connects} ' -r 0-9 "$target" "$target")" = "1 0 "
check "two ranges resumed are the whole" eval \
  'curl -sf -r 0-499999 -o "$work/got" "$target" && curl -sf -C - -o "$work/got" "$target" && same "$work/got" "$file"'

echo "# curl: TLS"
start --root "$work/root" --tls --ca-file "$work/ca.pem" --threads 2
check "trusts the authority" eval \
  'curl -sf --cacert "$work/ca.pem" -o "$work/got" "$url/bucket/dir/file.bin" && same "$work/got" "$file"'
check "and no other" eval '! curl -s -o /dev/null "$url/bucket/dir/file.bin"'

echo "# the aws CLI: reading"
start --root "$work/root" --access-key "$AWS_ACCESS_KEY_ID" --secret-key "$AWS_SECRET_ACCESS_KEY"
export AWS_ENDPOINT_URL_S3=$url
target=$url/bucket/dir/file.bin
get_range() { aws s3api get-object --bucket bucket --key "$1" --range "$2" "$work/got" "${@:3}"; }
check "cp" eval 'aws s3 cp --quiet s3://bucket/dir/file.bin "$work/got" && same "$work/got" "$file"'
check "cp of an odd key" eval 'aws s3 cp --quiet "s3://bucket/$odd" "$work/got" && same "$work/got" "$work/root/bucket/$odd"'
check "get-object --range" eval \
  'get_range dir/file.bin bytes=10-19 >/dev/null && slice 10 10 && same "$work/got" "$work/want"'
check "get-object with a suffix range" eval \
  'get_range dir/file.bin bytes=-65536 >/dev/null && slice $((size - 65536)) 65536 && same "$work/got" "$work/want"'
check "get-object --if-match" says '"ContentLength": 10' get_range dir/file.bin bytes=0-9 --if-match "$etag"
refused "get-object --if-match of another version" PreconditionFailed \
  get_range dir/file.bin bytes=0-9 --if-match '"x"'
refused "get-object of nothing" NoSuchKey get_range none bytes=0-9
refused "get-object past the end" InvalidRange get_range dir/file.bin bytes=9999999-
refused "a bucket that is not there" NoSuchBucket aws s3 ls s3://nope
check "head-object" says "\"ContentLength\": $size" aws s3api head-object --bucket bucket --key dir/file.bin
check "ls" says bucket aws s3 ls
check "ls of a bucket" says 'PRE dir/' aws s3 ls s3://bucket
check "ls of a prefix" says "$size file.bin" aws s3 ls s3://bucket/dir/
check "ls of everything" says "$odd" aws s3 ls --recursive s3://bucket
check "presign" eval 'curl -sf -o "$work/got" "$(aws s3 presign s3://bucket/dir/file.bin)" && same "$work/got" "$file"'
presigned=$(aws s3 presign "s3://bucket/$odd")
check "presign of an odd key" test "$(curl -s "$presigned")" = odd
[[ $presigned == *X-Amz-Signature=* ]] || fail "presign made no signature of version 4"
last=${presigned: -1}
check "a flipped bit in it" test "$(status_of "${presigned%?}$(tr '0-9a-f' '1-9a-f0' <<<"$last")")" = 403
check "presigned for HEAD by a GET's signature" test "$(status_of -I "$presigned")" = 403

echo "# curl's signatures"
signed() {
  curl -s --aws-sigv4 aws:amz:us-east-1:s3 --user "$AWS_ACCESS_KEY_ID:$1" -o "$work/got" -w '%{http_code}' "${@:2}"
}
hash='x-amz-content-sha256: UNSIGNED-PAYLOAD'
check "the right secret" test "$(signed "$AWS_SECRET_ACCESS_KEY" -H "$hash" -r 3-9 "$target")" = 206
check "a wrong secret" test "$(signed wrong -H "$hash" "$target")" = 403
check "without the payload's hash" test "$(signed "$AWS_SECRET_ACCESS_KEY" "$target")" = 400

echo "# the aws CLI: denied"
refused "no signature" AccessDenied aws --no-sign-request s3api get-object --bucket bucket --key dir/file.bin "$work/got"
refused "a wrong secret" SignatureDoesNotMatch \
  env AWS_SECRET_ACCESS_KEY=wrong aws s3api get-object --bucket bucket --key dir/file.bin "$work/got"
refused "an unknown key" InvalidAccessKeyId \
  env AWS_ACCESS_KEY_ID=AKIDNOBODY aws s3api get-object --bucket bucket --key dir/file.bin "$work/got"
refused "a token where there is none" InvalidToken \
  env AWS_SESSION_TOKEN=t aws s3api get-object --bucket bucket --key dir/file.bin "$work/got"
refused "cp with a wrong secret" 403 env AWS_SECRET_ACCESS_KEY=wrong aws s3 cp s3://bucket/dir/file.bin "$work/got"
refused "uploads to a folder that is served" AccessDenied aws s3 cp "$file" s3://bucket/new

echo "# the aws CLI: temporary credentials, uploads"
export AWS_SESSION_TOKEN='FwoGZXIvYXdz/+=='
start --access-key "$AWS_ACCESS_KEY_ID" --secret-key "$AWS_SECRET_ACCESS_KEY" --session-token "$AWS_SESSION_TOKEN" \
  --tls --ca-file "$work/ca.pem"
export AWS_ENDPOINT_URL_S3=$url AWS_CA_BUNDLE=$work/ca.pem
check "mb" aws s3 mb s3://uploads
check "cp there and back, TLS" eval \
  'aws s3 cp --quiet "$file" s3://uploads/up.bin && aws s3 cp --quiet s3://uploads/up.bin "$work/got" && same "$work/got" "$file"'
check "presign with a token" eval \
  'curl -sf --cacert "$work/ca.pem" -o "$work/got" "$(aws s3 presign s3://uploads/up.bin)" && same "$work/got" "$file"'
start --access-key "$AWS_ACCESS_KEY_ID" --secret-key "$AWS_SECRET_ACCESS_KEY" --session-token "$AWS_SESSION_TOKEN"
export AWS_ENDPOINT_URL_S3=$url
check "cp there and back" eval \
  'aws s3 mb s3://up >/dev/null && aws s3 cp --quiet "$file" "s3://up/$odd" && aws s3 cp --quiet "s3://up/$odd" "$work/got" && same "$work/got" "$file"'
refused "without the token" InvalidToken env -u AWS_SESSION_TOKEN aws s3 ls s3://up

echo "# tmpdump-origin itself"
kill "${pids[-1]}"
status=0
wait "${pids[-1]}" || status=$?
check "SIGTERM ends it with 0" test "$status" = 0
status=0
"$origin" --no-such-option 2>"$work/said" || status=$?
check "a wrong option is a usage error" test "$status" = 2
check "in one line" test "$(wc -l <"$work/said")" = 1
status=0
"$origin" --root "$work/root" --bucket none 2>/dev/null || status=$?
check "a bucket that is not there is an error" test "$status" = 1
echo "check_fake_s3: all is well"
