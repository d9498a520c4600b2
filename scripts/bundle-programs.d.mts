export type Bundles = {
  /** The directory of the package. */
  readonly root: string;
  readonly programs: readonly string[];
  /** Where the bundles go; what is there is removed. */
  readonly into: string;
  /** The file of a program, below `root`; that of cmd/ if it is absent. */
  readonly sourceOf?: (program: string) => string;
};

export function bundlePrograms(bundles: Bundles): Promise<void>;
