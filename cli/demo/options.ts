/** The size of the demo sale. Everything that is simulated is decided here and by the seed, nothing by chance. */

/** The item everybody wants; it is in the catalogue. */
export const HOT_SKU = 'DROP-001';

export interface DemoOptions {
  /** Simulated buyers who want one unit of the hot item. */
  buyers: number;
  /** Units of it on sale. */
  units: number;
  /** Ordinary orders over the rest of the catalogue at the same time. */
  orders: number;
}

export const DEFAULTS: Readonly<DemoOptions> = { buyers: 10_000, units: 1_000, orders: 3_000 };

/** From … to, both included. Each buyer and each order is a small object and a token in this process: so there is an upper end. */
export const RANGES = {
  buyers: [50, 200_000],
  units: [10, 20_000],
  orders: [0, 100_000],
} as const satisfies Record<keyof DemoOptions, readonly [number, number]>;

/** With so many buyers a unit, those who keep trying outnumber whatever comes back: the item is sure to sell out. */
const BUYERS_A_UNIT = 5;

/** What the simulated buyers do; shares of all of them. The others buy, or are told that there is none left, and go. */
export const BUYERS = {
  /** Looks at the product page before pressing "buy". */
  looks: 0.3,
  /** Gets a unit, thinks again and gives it back. */
  releases: 0.04,
  /** Gets a unit, and leaves without a word: the hold lapses. */
  abandons: 0.04,
  /** Refused, keeps an eye on the stock and tries again when something comes back. */
  persists: 0.2,
} as const;

/** What becomes of an ordinary order whose units could be held; shares. The others are confirmed and that was it. */
export const ORDERS = {
  releases: 0.08,
  abandons: 0.05,
  /** Asks for more time before paying. */
  extends: 0.06,
  /** Paid, and all of it comes back later. */
  returns: 0.05,
  /** Paid, and one unit of it comes back later. */
  returnsOne: 0.05,
  /** Names its own id, as a shop with its own order numbers does. */
  ownId: 0.25,
} as const;

/** Seconds. Long enough for a slow machine; short enough that a demo that was cut off leaves nothing held for long. */
export const HOLD_SECONDS = 60;
/** What the buyers who leave ask for, so that nobody has to wait half an hour to see it lapse. */
export const SHORT_HOLD_SECONDS = 3;

/** Connections, kept alive, one request at a time on each. */
export const SOCKETS = {
  /** The crowd: who looks and who presses "buy" waits in line for one of these. */
  crowd: 120,
  /** The till: who has a unit does not queue behind the crowd again. */
  till: 40,
  /** Ordinary orders. */
  orders: 40,
} as const;

/** Behaviour is drawn from this, so that two runs simulate the same people. */
export const SEED = 20_260_101;

/** @throws RangeError saying which number does not do and why */
export function checkedOptions(given: Partial<DemoOptions>): DemoOptions {
  const options: DemoOptions = {
    buyers: given.buyers ?? DEFAULTS.buyers,
    units: given.units ?? DEFAULTS.units,
    orders: given.orders ?? DEFAULTS.orders,
  };
  for (const name of ['buyers', 'units', 'orders'] as const) {
    const [from, to] = RANGES[name];
    const value = options[name];
    if (!Number.isInteger(value) || value < from || value > to)
      throw new RangeError(`The demo takes ${from} to ${to} ${name}, not ${value}.`);
  }
  if (options.buyers < BUYERS_A_UNIT * options.units)
    throw new RangeError(
      `The demo needs at least ${BUYERS_A_UNIT} buyers a unit to be sure to sell out: ` +
        `${BUYERS_A_UNIT * options.units} for ${options.units} units, not ${options.buyers}.`,
    );
  return options;
}
