/** Whether an etcd of this version can serve HTTP at a port of its own: it has `--listen-client-http-urls`. */
export function takesHttpPort(version: string): boolean {
  const [, minor = 0, patch = 0] = version.split(".").map(Number);
  if (minor === 4) return patch >= 25;
  if (minor === 5) return patch >= 8;
  return minor > 5;
}
