#!/usr/bin/env bash
# What the client library is made of asks for nothing that only Linux or x86-64 has: base/platform.* does, for all.
# portable_sources.sh SOURCE
# SPDX-License-Identifier: Apache-2.0
set -u
cd "$1" || exit 1
files=$(find client types thrift packing base -name '*.cc' -o -name '*.h' | grep -v -e '^base/platform\.' -e '^base/scheduling\.h')
words='#include <(linux/|sys/(epoll|eventfd|prctl|random|sendfile|signalfd|syscall|timerfd)\.h|[a-z]*mmintrin\.h|immintrin\.h|sched\.h>.*cpu)'
words+='|\b(memfd_create|eventfd|epoll_[a-z]+|futex|pipe2|accept4|prctl|sched_[gs]etaffinity|sched_getcpu|syscall)\('
words+='|\b(SOCK_CLOEXEC|SOCK_NONBLOCK|MSG_NOSIGNAL|MSG_MORE|MSG_CMSG_CLOEXEC|MADV_[A-Z]+|MAP_NORESERVE|SO_PEERCRED)\b'
words+='|__linux__|__x86_64__|__SSE|_mm_|/proc/'
# shellcheck disable=SC2086
found=$(grep -nE "$words" $files | grep -vE ':[0-9]+: *//')
[ -n "$(grep -nE "$words" base/platform.cc)" ] || { echo "the words of this test find nothing any more"; exit 1; }
[ -z "$found" ] && exit 0
echo "only base/platform.h and .cc may say which machine this is:"
echo "$found"
exit 1
