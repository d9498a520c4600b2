/** Helpers to write conversations with: short forms of common steps. */
import type { BodyFrom, CallStep, CommandStep, StreamAction, StreamStep } from "./conversation.ts";

type Options = Partial<Pick<CallStep, "member" | "metadata" | "differs" | "divides" | "keep">>;

/** Bytes as protobuf's JSON writes them. */
export function b64(text: string): string {
  return Buffer.from(text, "latin1").toString("base64");
}

/** `method` as in `KV/Range`. */
export function call(method: string, body: BodyFrom = {}, options: Options = {}): CallStep {
  return { kind: "call", method, body, ...options };
}

export function stream(method: string, actions: readonly StreamAction[], options: Options = {}): StreamStep {
  return { kind: "stream", method, actions, ...options };
}

/** An invocation of etcdctl; words are separated by spaces. */
export function etcdctl(words: string, options: Options & Pick<CommandStep, "anyOrder"> = {}): CommandStep {
  return { kind: "etcdctl", words: words.split(" "), ...options };
}

export const put = (key: string, value = "v", more: object = {}, options: Options = {}): CallStep =>
  call("KV/Put", { key: b64(key), value: b64(value), ...more }, options);
export const range = (key: string, more: object = {}, options: Options = {}): CallStep =>
  call("KV/Range", { key: b64(key), ...more }, options);
export const remove = (key: string, more: object = {}, options: Options = {}): CallStep =>
  call("KV/DeleteRange", { key: b64(key), ...more }, options);
export const txn = (body: object, options: Options = {}): CallStep => call("KV/Txn", { ...body }, options);
