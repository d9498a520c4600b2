/**
 * What haplan and the program `haplan-host` on a host say to each other over its standard input and output: one JSON object
 * per line. The host speaks first and says which protocol it speaks. Requests have an id and run concurrently; each gets one
 * answer with its id, in whatever order they end.
 *
 *     host    { "protocol": 1, "version": "0.1.0", "pid": 812 }
 *     haplan  { "id": 1, "call": "observe", "arguments": ["lineage", []] }
 *     host    { "id": 1, "result": { "machines": [], "unreachable": [] } }
 *     haplan  { "id": 2, "call": "startUnit", "arguments": ["m1", { ..., "content": { "base64": "AAE=" } }] }
 *     host    { "id": 2, "error": { "code": "provider/no-machine", "message": "..." } }
 */
import type { ValidateFunction } from "ajv";
import { compileSchema } from "../base/compile-schema.ts";
import { errorText, HaplanError } from "../base/haplan-error.ts";
import { parseJson } from "../base/json-text.ts";
import type { HostCallName, HostRequest, HostResults } from "./host-calls.ts";
import { answerSchema, argumentSchemas, greetingSchema, requestSchema, resultSchemas } from "./host-schemas.ts";

export const hostProtocol = 1;

/** The longest line that either side takes. */
export const lineBytesMax: number = 32 * 1024 * 1024;

export type HostGreeting = { readonly protocol: number; readonly version: string; readonly pid: number };

type HostError = { readonly code: string; readonly message: string };

/** `result` is validated once its call is known: `decodeResult`. */
export type HostAnswer =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: HostError };

/** A request that cannot be carried out, with the id to answer it under. */
export type RejectedRequest = { readonly id: number; readonly rejected: HaplanError };

/** @throws HaplanError `provider/bad-greeting` when the line is not a greeting, or of another protocol */
export function decodeGreeting(line: string): HostGreeting {
  const greeting = parseLine(line);
  if (!isValid<HostGreeting>(greetingSchema, greeting)) {
    throw new HaplanError(
      "provider/bad-greeting",
      `The host did not start haplan-host, but wrote ${JSON.stringify(line.slice(0, 200))}`,
    );
  }
  if (greeting.protocol !== hostProtocol) {
    throw new HaplanError(
      "provider/bad-greeting",
      `haplan-host ${greeting.version} on the host speaks protocol ${greeting.protocol}, this haplan speaks ${hostProtocol}`,
    );
  }
  return greeting;
}

export function encodeRequest({ id, call, arguments: given }: HostRequest): string {
  return `${JSON.stringify({ id, call, arguments: given.map(encodeValue) })}\n`;
}

/** @throws HaplanError `provider/bad-request` for a line with no id to answer it under */
export function decodeRequest(line: string): HostRequest | RejectedRequest {
  const request = parseLine(line);
  if (!isValid<{ id: number; call: string; arguments: unknown[] }>(requestSchema, request))
    throw new HaplanError("provider/bad-request", "A line on standard input is not a request");
  const { id, call } = request;
  if (!isCall(call)) return rejected(id, `haplan-host has no call "${call}"`);
  if (!isValid<readonly unknown[]>(argumentSchemas[call], request.arguments))
    return rejected(id, `The arguments of "${call}" are not valid`);
  return { id, call, arguments: request.arguments.map(decodeValue) } as unknown as HostRequest;
}

export function encodeAnswer(answer: HostAnswer): string {
  return `${JSON.stringify("error" in answer ? answer : { id: answer.id, result: answer.result ?? null })}\n`;
}

/** What a call rejected with, for an answer: codes are kept, and anything else is a failure of the host. */
export function answerOfError(id: number, error: unknown): HostAnswer {
  const code = error instanceof HaplanError ? error.code : "provider/host-failed";
  return { id, error: { code, message: errorText(error) } };
}

/** @throws HaplanError `provider/bad-answer` */
export function decodeAnswer(line: string): HostAnswer {
  const answer = parseLine(line);
  if (isValid<HostAnswer>(answerSchema, answer)) return answer;
  throw new HaplanError(
    "provider/bad-answer",
    `The host wrote a line that is not an answer: ${JSON.stringify(line.slice(0, 200))}`,
  );
}

/** @throws HaplanError `provider/bad-answer` when it is no result of this call */
export function decodeResult<Call extends HostCallName>(call: Call, result: unknown): HostResults[Call] {
  if (isValid<HostResults[Call]>(resultSchemas[call], result)) return result;
  throw new HaplanError("provider/bad-answer", `The host answered "${call}" with an invalid result`);
}

function rejected(id: number, message: string): RejectedRequest {
  return { id, rejected: new HaplanError("provider/bad-request", message) };
}

function isCall(name: string): name is HostCallName {
  return Object.hasOwn(argumentSchemas, name);
}

function parseLine(line: string): unknown {
  try {
    return parseJson(line);
  } catch {
    return undefined;
  }
}

const compiled = new WeakMap<object, ValidateFunction>();

/** Schemas are compiled when they are first needed: a session uses few of them. */
function isValid<Value>(schema: object, value: unknown): value is Value {
  const validate = compiled.get(schema) ?? compileSchema(schema, { allowUnionTypes: true });
  compiled.set(schema, validate);
  return validate(value);
}

/** Files of units may hold bytes that are no text. They are in units, alone or in a list. */
function encodeValue(value: unknown): unknown {
  return mapUnits(value, (content) =>
    content instanceof Uint8Array ? { base64: Buffer.from(content).toString("base64") } : content,
  );
}

function decodeValue(value: unknown): unknown {
  return mapUnits(value, (content) =>
    hasBase64(content) ? new Uint8Array(Buffer.from(content.base64, "base64")) : content,
  );
}

function hasBase64(value: unknown): value is { readonly base64: string } {
  return typeof value === "object" && value !== null && "base64" in value && typeof value.base64 === "string";
}

/** A copy of an argument with the contents of all files of its units replaced; anything else stays as it is. */
function mapUnits(value: unknown, replace: (content: unknown) => unknown): unknown {
  if (!isRecord(value)) return value;
  const mapFiles = (files: readonly unknown[]): unknown[] =>
    files.map((file) => (isRecord(file) ? { ...file, content: replace(file["content"]) } : file));
  if (isRecord(value["unit"])) return { ...value, unit: mapUnits(value["unit"], replace) };
  if (Array.isArray(value["files"])) return { ...value, files: mapFiles(value["files"]) };
  if (Array.isArray(value["units"])) return { ...value, units: value["units"].map((each) => mapUnits(each, replace)) };
  return value;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
