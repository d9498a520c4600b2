/** JSON Schemas of our own, turned into validators at the start of a program: what that costs, every command waits for. */
import { Ajv, type Options, type ValidateFunction } from "ajv";

/**
 * The schema itself is not checked here: that takes as long as compiling it, and a wrong one is found by the first test
 * that uses it.
 */
export function compileSchema<Value = unknown>(schema: object, options: Options = {}): ValidateFunction<Value> {
  return new Ajv({ ...options, meta: false, validateSchema: false }).compile<Value>(schema);
}
