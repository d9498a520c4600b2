/** What is in an artifact, and where. Pure. */

export const architectures = ["x64", "arm64"] as const;
export type Architecture = (typeof architectures)[number];

export type ArtifactEntry = {
  /** In the artifact, relative to its one directory. */
  readonly path: string;
  readonly mode: 0o644 | 0o755;
  readonly content: { readonly file: string } | { readonly text: string };
};

/** The programs that run on hosts. */
export const hostPrograms: readonly string[] = ["haplan-agent", "haplan-host", "haplan-load-balancer", "haplan-worker"];

/**
 * Of haplan-host: incremented when it gets calls or arguments that haplan relies on. A host that has several versions of
 * haplan serves sessions with the newest haplan-host, whichever version its units run.
 */
export const hostRevision = 5;

/** Of a package's files, what a program needs at run time: code, data and native libraries for glibc, and licenses. */
const needed = /(\.(c?js|json|txt)|napi\.glibc\.node|\/LICENSE[^/]*)$/i;
const notNeeded = /(^|\/)(src|dependencies|tests?|tools|umd|include|share|benchmark|\.bin)\//;

/** `path` is relative to node_modules. */
export function isNeeded(path: string): boolean {
  return needed.test(path) && !notNeeded.test(path);
}

/** The runtime's package has the one file that is not code. */
export function runtimePackage(architecture: Architecture): string {
  return `node-linux-${architecture}`;
}

/** Starts a program with the artifact's own runtime, from wherever the artifact is and by whatever link it is called. */
export function launcher(program: string): string {
  return `#!/bin/sh
directory=$(dirname "$(dirname "$(readlink -f "$0")")")
exec "$directory/bin/node" "$directory/cmd/${program}/main.js" "$@"
`;
}

/** Entries in the order in which they are written: always the same, whatever the file system lists first. */
export function inOrder(entries: readonly ArtifactEntry[]): readonly ArtifactEntry[] {
  return entries.toSorted((a, b) => (a.path < b.path ? -1 : 1));
}
