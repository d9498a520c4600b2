/** The space that a member needs on the disk of its data directory, to run at all. */

/** Four segments of the log: room to keep writing while more is freed. */
export const freeBytesMin: number = 256 * 2 ** 20;
