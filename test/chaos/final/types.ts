/** Final state, in the shape that both stores share. Times are ms. */
export interface Level {
  readonly available: number;
  readonly reserved: number;
  readonly sold: number;
  readonly version: number;
}

export interface FinalItem extends Level {
  readonly buyerLimit?: number;
}

export interface FinalLine {
  readonly ref: string;
  readonly quantity: number;
  readonly returned: number;
  readonly counted: boolean;
}

/** 1 held, 2 confirmed, 3 released, 4 expired, 5 returned, 6 pending. */
export interface FinalHold {
  readonly state: number;
  readonly deadline: number;
  readonly attempt: number;
  readonly buyer: string;
  readonly lines: readonly FinalLine[];
}

export interface FinalRecord extends Level {
  readonly kind: number;
}

/** The items, holds, claims and id records of one store; holds and claims by partition and id, id records by `id:ref`. */
export interface Contents {
  readonly items: Map<string, FinalItem>;
  readonly holds: Map<string, FinalHold>;
  readonly claims: Map<string, FinalHold>;
  readonly ids: Map<string, FinalRecord>;
}

export interface Movement extends Level {
  readonly partition: number;
  readonly epoch: number;
  readonly seq: number;
  readonly at: number;
  readonly kind: number;
  readonly ref: string;
  readonly id: string;
  readonly quantity: number;
  readonly actor: string;
  readonly detail: string;
  readonly deadline: number;
  readonly attempt: number;
}

export interface FinalRedis extends Contents {
  /** By partition. */
  readonly meta: Map<number, { epoch: number; seq: number; owner: string; persisted: string }>;
  readonly logLength: Map<number, number>;
  /** Units held and bought, by ref and buyer. */
  readonly buyers: Map<string, Map<string, number>>;
  /** The clock of the nodes when they were read. */
  readonly now: number;
}

export interface Position {
  readonly epoch: number;
  readonly openedAfter: number;
  readonly logEpoch: number;
  readonly seq: number;
}

/** An acknowledged change that is gone, as the system itself recorded it. */
export interface Reversal {
  readonly partition: number;
  readonly id: string;
  readonly ref: string;
  readonly kind: number;
  readonly lostEpoch: number;
  readonly lostSeq: number;
}

export interface FinalPostgres extends Contents {
  /** In order of partition and seq. */
  readonly movements: readonly Movement[];
  readonly positions: Map<number, Position>;
  readonly quarantine: readonly { partition: number; reason: string }[];
  /** Undefined while the system keeps none. */
  readonly reversals: readonly Reversal[] | undefined;
}

export interface FinalState {
  readonly redis: FinalRedis;
  readonly postgres: FinalPostgres;
}

export const keyOf = (partition: number, id: string): string => `${partition}/${id}`;
