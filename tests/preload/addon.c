// SPDX-License-Identifier: Apache-2.0
// A Node addon that exports what libleaf.so answers. Node-API's declarations are its stable ABI, spelled out,
// so that no headers of Node are needed.
#include <stdint.h>

typedef struct napi_env_of* napi_env;
typedef struct napi_value_of* napi_value;
int napi_create_int32(napi_env env, int32_t value, napi_value* result);
int napi_set_named_property(napi_env env, napi_value object, const char* name, napi_value value);
napi_value napi_register_module_v1(napi_env env, napi_value exports);
int leaf(void);

napi_value napi_register_module_v1(napi_env env, napi_value exports) {
  napi_value answer = 0;
  if (napi_create_int32(env, leaf(), &answer) != 0) return 0;
  return napi_set_named_property(env, exports, "answer", answer) == 0 ? exports : 0;
}
