/** What clients asked for and were told: the only thing that the outside knows of a cluster. */

/** Of the one register that a key is; values are unique in a run, null is "no such key". */
export type Operation = {
  readonly client: number;
  readonly key: string;
  readonly kind: "put" | "get" | "cas";
  /** Of a put and a cas: what to write. */
  readonly value: string | null;
  /** Of a cas: what has to be there. */
  readonly expected: string | null;
  /** Places in the order of all beginnings and ends of operations. */
  readonly begin: number;
  /** Infinity while nobody knows whether it was carried out. */
  end: number;
  /** Of a get, and of a cas that failed: what was there. */
  found: string | null;
  /** Of a cas. */
  succeeded: boolean;
  /** Of a write that was acknowledged: the store's revision. */
  revision: number;
};

export class History {
  readonly operations: Operation[] = [];
  #order = 0;

  begin(asked: Pick<Operation, "client" | "key" | "kind" | "value" | "expected">): Operation {
    const operation = {
      ...asked,
      begin: this.#order++,
      end: Number.POSITIVE_INFINITY,
      found: null,
      succeeded: false,
      revision: 0,
    };
    this.operations.push(operation);
    return operation;
  }

  /** The client was told the outcome, which it has written into the operation. */
  end(operation: Operation): void {
    operation.end = this.#order++;
  }

  /** It was surely not carried out. */
  drop(operation: Operation): void {
    this.operations.splice(this.operations.lastIndexOf(operation), 1);
  }
}
