/**
 * The configuration of one of haplan's programs: a JSON file that is validated before use, and the certificates that it
 * names.
 */
import { readFileSync } from "node:fs";
import type { ValidateFunction } from "ajv";
import { errorText, HaplanError } from "./haplan-error.ts";
import { parseJson } from "./json-text.ts";
import type { TlsCredentials } from "./tls-credentials.ts";

export type CertificateFiles = { readonly caFile: string; readonly certFile: string; readonly keyFile: string };

/** For the property `tls` of a configuration. */
export const certificateFilesSchema: object = {
  type: "object",
  nullable: true,
  additionalProperties: false,
  required: ["caFile", "certFile", "keyFile"],
  properties: { caFile: { type: "string" }, certFile: { type: "string" }, keyFile: { type: "string" } },
};

export type LoadedProgramConfig<Config> = { readonly config: Config; readonly tls: TlsCredentials | null };

/** @throws HaplanError `errorCode` listing all mistakes. */
export function loadProgramConfig<Config extends { readonly tls: CertificateFiles | null }>(
  path: string,
  validate: ValidateFunction<Config>,
  errorCode: string,
): LoadedProgramConfig<Config> {
  const refuse = (problem: string, cause?: unknown): never => {
    throw new HaplanError(errorCode, problem, { cause });
  };
  const read = (file: string): string => {
    try {
      return readFileSync(file, "utf8");
    } catch (error) {
      return refuse(`Cannot read "${file}": ${errorText(error)}`, error);
    }
  };
  const text = read(path);
  let config: unknown;
  try {
    config = parseJson(text);
  } catch (error) {
    return refuse(`Cannot read "${path}": ${errorText(error)}`, error);
  }
  if (!validate(config)) {
    const mistakes = validate.errors?.map((error) => `${error.instancePath || "the whole"} ${error.message}`) ?? [];
    return refuse(`"${path}" is invalid: ${mistakes.join("; ")}`);
  }
  if (config.tls === null) return { config, tls: null };
  const { caFile, certFile, keyFile } = config.tls;
  return { config, tls: { caPem: read(caFile), certificatePem: read(certFile), keyPem: read(keyFile) } };
}
