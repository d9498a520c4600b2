/** The state of a stream that sending reads and updates. */
export type SendingStream = {
  readonly id: number;
  readonly remoteClosed: boolean;
  readonly paced: boolean;
  localClosed: boolean;
  sendWindow: number;
  large: boolean;
  queue: Uint8Array[] | undefined;
  queueOffset: number;
  queuedTrailers: Buffer | undefined;
  listed: boolean;
  onDrain(): void;
};
