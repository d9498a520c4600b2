/** etcd's auth API, as far as a user needs it. */
import { Auth } from "../raft-agent/api/gen/etcdserverpb/rpc_pb.ts";
import { type CallChannel, callMethod } from "./call-channel.ts";
import type { CallOptions } from "./client-stream.ts";

export class AuthClient {
  readonly #channel: CallChannel;
  readonly #options: CallOptions;

  constructor(channel: CallChannel, options: CallOptions) {
    this.#channel = channel;
    this.#options = options;
  }

  /** Returns a token for the user, to be sent as `token` in the metadata. */
  async authenticate(name: string, password: string): Promise<string> {
    return (await callMethod(this.#channel, Auth.method.authenticate, { name, password }, this.#options)).token;
  }

  /** Any user may ask for its own. */
  async rolesOf(name: string): Promise<readonly string[]> {
    return (await callMethod(this.#channel, Auth.method.userGet, { name }, this.#options)).roles;
  }
}
