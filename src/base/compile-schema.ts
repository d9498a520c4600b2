/** Compiles haplan's own JSON Schemas into validators at program start, where every command waits for it. */
import { Ajv, type Options, type ValidateFunction } from "ajv";

/**
 * The schema itself is not validated here: that takes as long as compiling it, and the first test that uses a wrong one
 * fails. Nor is the generated code optimized, which takes longer than a validator saves that runs once or twice.
 */
export function compileSchema<Value = unknown>(schema: object, options: Options = {}): ValidateFunction<Value> {
  return new Ajv({ ...options, meta: false, validateSchema: false, code: { optimize: false } }).compile<Value>(schema);
}
