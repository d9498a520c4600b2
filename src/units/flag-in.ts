/** The value of a flag that a program was started with as `--flag=value`; undefined if it has none. */
export function flagIn(given: readonly string[], flag: string): string | undefined {
  return given.find((each) => each.startsWith(`--${flag}=`))?.slice(flag.length + 3);
}
