/** The operations of clients and their results: the only external view of a cluster. */

/** An operation on the register of a key; values are unique in a run, null is "no such key". */
export type Operation = {
  readonly client: number;
  readonly key: string;
  readonly kind: "put" | "get" | "cas";
  /** For a put and a cas: the value to write. */
  readonly value: string | null;
  /** For a cas: the expected value. */
  readonly expected: string | null;
  /** Positions in the order of all begins and ends of operations. */
  readonly begin: number;
  /** Infinity while the outcome is unknown. */
  end: number;
  /** For a get, and for a failed cas: the value found. */
  found: string | null;
  /** For a cas. */
  succeeded: boolean;
  /** For an acknowledged write: the store's revision. */
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

  /** The client received the outcome, which it has recorded in the operation. */
  end(operation: Operation): void {
    operation.end = this.#order++;
  }

  /** It was certainly not applied. */
  drop(operation: Operation): void {
    this.operations.splice(this.operations.lastIndexOf(operation), 1);
  }
}
