/** What ssh says when it cannot reach a host, as an error that says what to do. Pure. */
import { createHash } from "node:crypto";
import { HaplanError } from "../../base/haplan-error.ts";
import { jumpHosts } from "./jump-hosts.ts";
import { withoutDebug } from "./ssh-output.ts";
import type { SshTarget } from "./ssh-target.ts";

/** ssh's own exit code for a connection that it could not make or that was lost. */
export const sshFailedCode = 255;

/** The host that was not reached: the target, or a jump host on the way to it. */
type FailedHost = Pick<SshTarget, "host" | "user" | "port" | "hostKey"> & { readonly isOnTheWay: boolean };

type Failure = {
  readonly code: string;
  readonly pattern: RegExp;
  /** `shown`: type and fingerprint of the key that the host has shown, as far as that is known; `stderr`: all that ssh said. */
  readonly say: (at: FailedHost, shown: string, stderr: string) => string;
};

/** Of the AWS CLI, which is the command of a connection through Session Manager. */
const sessionFailures: readonly Failure[] = [
  {
    code: "ssh/session-plugin",
    pattern: /SessionManagerPlugin is not found/,
    say: ({ host }) =>
      `${host} is reached through Session Manager, and session-manager-plugin is not on the PATH: install it, or remove \`sessionManager\``,
  },
  {
    code: "ssh/session-command",
    pattern: /\baws: (command )?not found/,
    say: ({ host }) =>
      `${host} is reached through Session Manager, and aws is not on the PATH: install the AWS CLI, or remove \`sessionManager\``,
  },
  {
    code: "ssh/session-unavailable",
    pattern: /TargetNotConnected/,
    say: ({ host }) =>
      `${host} is not connected to Session Manager: its image needs the SSM agent, its role the policy AmazonSSMManagedInstanceCore, and its subnet a way to Systems Manager`,
  },
  {
    code: "ssh/session-denied",
    pattern: /AccessDenied\w*\) when calling the StartSession operation/,
    say: ({ host }) => `The caller may not start a session with ${host}: it needs ssm:StartSession`,
  },
];

/** The first pattern that matches holds: later lines of ssh's output are consequences. */
const failures: readonly Failure[] = [
  ...sessionFailures,
  {
    code: "ssh/host-key-changed",
    pattern: /REMOTE HOST IDENTIFICATION HAS CHANGED|Host key for .* has changed/,
    say: (target, shown) =>
      target.hostKey !== null
        ? otherThanPinned(target, shown)
        : `${target.host} shows a host key that differs from known_hosts${shown}. If the host was reinstalled, remove the old key: ssh-keygen -R ${knownName(target)}`,
  },
  {
    code: "ssh/host-key-unknown",
    pattern: /Host key verification failed|No \w+ host key is known|authenticity of host/,
    say: (target, shown) => (target.hostKey !== null ? otherThanPinned(target, shown) : unknownKey(target, shown)),
  },
  {
    code: "ssh/identity-file",
    pattern: /Identity file .* not accessible[\s\S]*(Permission denied|Too many authentication failures)/,
    say: ({ host, user }, _, stderr) => {
      const [, file = "", why = ""] = /Identity file (.*) not accessible: (.*?)\.?\r?$/m.exec(stderr) ?? [];
      return `${host} rejected user ${user ?? "(default)"}: the identityFile ${file} cannot be read: ${why}`;
    },
  },
  {
    code: "ssh/permission-denied",
    pattern: /Permission denied|Too many authentication failures|no mutual signature/,
    say: ({ host, user }) => `${host} rejected user ${user ?? "(default)"}: no offered key was accepted`,
  },
  {
    code: "ssh/name-unknown",
    pattern: /Could not resolve hostname|Name or service not known/,
    say: ({ host }) => `The name ${host} cannot be resolved`,
  },
  {
    code: "ssh/refused",
    pattern: /Connection refused/,
    say: ({ host, port }) => `${host} refuses connections on port ${port ?? 22}: is sshd running?`,
  },
  {
    code: "ssh/no-route",
    pattern: /No route to host|Network is unreachable|Host is unreachable/,
    say: ({ host }) => `There is no route to ${host}`,
  },
  {
    code: "ssh/timed-out",
    pattern: /timed out|Timeout, server .* not responding|Broken pipe|Connection (closed|reset) by/i,
    say: ({ host }) => `${host} did not answer, or the connection was lost`,
  },
];

function otherThanPinned({ host, hostKey }: FailedHost, shown: string): string {
  return `${host} shows a host key that differs from hostKey in the spec${shown}. The spec has ${fingerprintOf(hostKey ?? "")}. If the host was reinstalled, write its new key: the host has it in /etc/ssh/ssh_host_ed25519_key.pub`;
}

/** As ssh-keygen -l prints it: type and SHA-256 of a public key. */
function fingerprintOf(key: string): string {
  const [type = "", blob = ""] = key.split(" ");
  const digest = createHash("sha256").update(Buffer.from(blob, "base64")).digest("base64");
  return `${type} SHA256:${digest.replace(/=+$/, "")}`;
}

function unknownKey({ host, port, isOnTheWay }: FailedHost, shown: string): string {
  const scan = `ssh-keyscan ${port === null ? "" : `-p ${port} `}${host} >> ~/.ssh/known_hosts`;
  const add = isOnTheWay
    ? `Then add it to known_hosts: ${scan}`
    : `Then write its public key as hostKey in the spec, or add it to known_hosts: ${scan}`;
  return `The host key of ${host} is not known${shown}. Compare it with the key on the host: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub. ${add}`;
}

/** As known_hosts has it. */
function knownName({ host, port }: FailedHost): string {
  return port === null || port === 22 ? host : `"[${host}]:${port}"`;
}

/** Of several hosts on the way the last one. */
function shownKey(stderr: string): string {
  const [, type, fingerprint] = [...stderr.matchAll(/Server host key: (\S+) (SHA256:\S+)/g)].at(-1) ?? [];
  return type === undefined ? "" : `: it shows ${type} ${fingerprint}`;
}

/** Lines that ssh writes beside those for debugging, and that explain nothing. */
const noise =
  /^(Warning: |\*\*|@+|.*(remove with:|ssh-keygen -f|haplan-ssh-)|Pseudo-terminal|mux_client|ControlSocket)/;

/** What went wrong when ssh ended with `sshFailedCode`. */
export function sshFailure(target: SshTarget, stderr: string): HaplanError {
  const found = failures.find(({ pattern }) => pattern.test(stderr));
  const said = withoutDebug(stderr)
    .split("\n")
    .filter((line) => line !== "" && !noise.test(line))
    .slice(-3)
    .join("\n");
  const at = failedHost(target, stderr);
  const what = found?.say(at, shownKey(stderr), stderr) ?? `ssh cannot reach ${at.host}`;
  const whole = at.isOnTheWay ? `The jump host on the way to ${target.host} was not reached. ${what}` : what;
  // What ssh says of host keys is about files of its own, which haplan has given it.
  const isTold = said === "" || (found?.code.startsWith("ssh/host-key") === true && at.hostKey !== null);
  return new HaplanError(found?.code ?? "ssh/failed", isTold ? whole : `${whole}\n${said}`);
}

/** ssh says of each host on the way that it has logged in there, or that a connection which is there already was used. */
function failedHost(target: SshTarget, stderr: string): FailedHost {
  const reached = stderr.match(/^Authenticated to |mux_client_request_stdio_fwd: master session id/gm)?.length ?? 0;
  const hop = target.proxyCommand === null ? jumpHosts(target.jump)[reached] : undefined;
  return hop === undefined ? { ...target, isOnTheWay: false } : { ...hop, hostKey: null, isOnTheWay: true };
}

const refusals: ReadonlySet<string> = new Set([
  "ssh/host-key-changed",
  "ssh/host-key-unknown",
  "ssh/identity-file",
  "ssh/permission-denied",
]);

/** Whether a host answered, and was not let in or did not let haplan in: it is not gone. */
export function isRefusedByHost(error: unknown): boolean {
  return error instanceof HaplanError && refusals.has(error.code);
}
