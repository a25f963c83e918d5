// SPDX-License-Identifier: Apache-2.0
// A Lambda runtime and function in one that knows nothing of tmpdump: a native addon, loaded while it starts.
'use strict';
const http = require('http');

const addon = {exports: {}};
process.dlopen(addon, '/tmp/lib/addon.node');

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(':');
const base = '/2018-06-01/runtime/invocation/';

function call(method, path, body, done) {
  const request = http.request({host, port, method, path: base + path}, (response) => {
    response.on('data', () => {});
    response.on('end', () => done(response.headers['lambda-runtime-aws-request-id']));
  });
  request.on('error', (error) => {
    console.error(error);
    process.exit(1);
  });
  request.end(body);
}

function next() {
  call('GET', 'next', undefined, (id) => call('POST', id + '/response', JSON.stringify(addon.exports), next));
}

next();
