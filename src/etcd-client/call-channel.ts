/** What calls are made over: bytes in, bytes out. Calls reject with `GrpcError`. */

import type { MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { create, type DescMessage, type DescMethodUnary, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { CallOptions, ClientStream } from "./client-stream.ts";

export type UnaryOptions = CallOptions & {
  /**
   * The call changes nothing, or may as well happen twice: it is then also repeated when it is not known whether the
   * server has seen it. Calls that certainly were not seen are always repeated.
   */
  readonly idempotent?: boolean;
};

export type CallChannel = {
  /** One message for one message. */
  unary(path: string, request: Uint8Array, options?: UnaryOptions): Promise<Uint8Array>;
  stream(path: string, options?: CallOptions): Promise<ClientStream>;
  /** Ends all calls and connections. */
  close(): Promise<void>;
};

/** Calls a method by its descriptor. */
export async function callMethod<Request extends DescMessage, Response extends DescMessage>(
  channel: CallChannel,
  method: DescMethodUnary<Request, Response>,
  request: MessageInitShape<Request>,
  options: UnaryOptions,
): Promise<MessageShape<Response>> {
  const bytes = toBinary(method.input, create(method.input, request));
  return fromBinary(method.output, await channel.unary(`/${method.parent.typeName}/${method.name}`, bytes, options));
}
