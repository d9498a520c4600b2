import type { SshTarget } from "../../src/providers/ssh/ssh-target.ts";

/** Nothing but the host is given. */
export function sshTargetTo(host: string): SshTarget {
  return {
    host,
    user: null,
    port: null,
    identityFile: null,
    jump: null,
    proxyCommand: null,
    options: [],
    hostKey: null,
  };
}
