/** What the operations of a script do, as far as it can be told from what was asked. For reversal records only: a cold path. */
import { claimsConfirm, type ClaimsConfirmOp } from '../scripts/generated/claims-confirm.js';
import { claimsExtend, type ClaimsExtendOp } from '../scripts/generated/claims-extend.js';
import { claimsRelease, type ClaimsReleaseOp } from '../scripts/generated/claims-release.js';
import { claimsReturn, type ClaimsReturnOp } from '../scripts/generated/claims-return.js';
import { claimsSeal, type ClaimsSealOp } from '../scripts/generated/claims-seal.js';
import type { EventName } from '../scripts/generated/events.js';
import { stockAdjust, type StockAdjustOp } from '../scripts/generated/stock-adjust.js';
import { stockConfigure, type StockConfigureOp } from '../scripts/generated/stock-configure.js';
import { stockConfirm, type StockConfirmOp } from '../scripts/generated/stock-confirm.js';
import { stockDeduct, type StockDeductOp } from '../scripts/generated/stock-deduct.js';
import { stockExtend, type StockExtendOp } from '../scripts/generated/stock-extend.js';
import { stockRelease, type StockReleaseOp } from '../scripts/generated/stock-release.js';
import { stockReserve, type StockReserveOp } from '../scripts/generated/stock-reserve.js';
import { stockRestock, type StockRestockOp } from '../scripts/generated/stock-restock.js';
import { stockReturn, type StockReturnOp } from '../scripts/generated/stock-return.js';
import type { ScriptInfo } from '../scripts/script.js';

/** One effect of one operation, on one item where it concerns one. */
export interface Effect {
  readonly kind: EventName;
  /** Empty where the operation has none (configure). */
  readonly id: string;
  /** `location:sku`, or empty. */
  readonly ref: string;
  /** Units asked for, signed only for `adjusted`; 0 where the call does not say (confirm and release mean all that is held). */
  readonly quantity: number;
  readonly actor: string;
}

type Effects = (op: never) => Effect[];

const ofClaim =
  (kind: EventName) =>
  ({ id, actor = '' }: { readonly id: string; readonly actor?: string }): Effect[] => [
    { kind, id, ref: '', quantity: 0, actor },
  ];

interface HeldOp {
  readonly id: string;
  readonly attempt: number;
  readonly actor: string;
  readonly lines: readonly { readonly item: string }[];
}

/** Parts of a claim follow it again by themselves when it is sold or given back: only what their home has lost is lost. */
const ofHold =
  (kind: EventName) =>
  ({ id, attempt, actor, lines }: HeldOp): Effect[] =>
    attempt > 0 ? [] : lines.map(({ item }) => ({ kind, id, ref: item, quantity: 0, actor }));

/** Also of parts: of some of the units only the part knows, and nobody but its caller repeats that. */
const returned = ({ id, actor, lines }: StockReturnOp): Effect[] =>
  lines
    .filter(({ total }) => total > 0)
    .map(({ item, total }) => ({ kind: 'returned', id, ref: item, quantity: total, actor }));

const held = ({ id, actor, buyer, lines }: StockReserveOp): Effect[] =>
  lines.map(({ item, quantity }) => ({ kind: 'held', id, ref: item, quantity, actor: actor === '' ? buyer : actor }));

const extended = ({ id, attempt, actor }: StockExtendOp): Effect[] =>
  attempt > 0 ? [] : [{ kind: 'extended', id, ref: '', quantity: 0, actor }];

const ofItem =
  (kind: EventName) =>
  ({ id, item, quantity, actor }: StockRestockOp | StockDeductOp): Effect[] => [
    { kind, id, ref: item, quantity, actor },
  ];

/** Scripts whose answers reach callers. Opening and giving up claims, and sweeping, are nobody's answer. */
const EFFECTS = new Map<ScriptInfo, Effects>([
  [stockReserve, held satisfies (op: StockReserveOp) => Effect[]],
  [stockConfirm, ofHold('confirmed') satisfies (op: StockConfirmOp) => Effect[]],
  [stockRelease, ofHold('released') satisfies (op: StockReleaseOp) => Effect[]],
  [stockReturn, returned],
  [stockExtend, extended],
  [stockDeduct, ofItem('deducted') satisfies (op: StockDeductOp) => Effect[]],
  [stockRestock, ofItem('restocked') satisfies (op: StockRestockOp) => Effect[]],
  [
    stockAdjust,
    ({ id, item, value, actor }: StockAdjustOp) => [{ kind: 'adjusted', id, ref: item, quantity: value, actor }],
  ],
  [
    stockConfigure,
    ({ item, actor }: StockConfigureOp) => [{ kind: 'configured', id: '', ref: item, quantity: 0, actor }],
  ],
  [claimsSeal, ofClaim('claim_sealed') satisfies (op: ClaimsSealOp) => Effect[]],
  [claimsConfirm, ofClaim('claim_confirmed') satisfies (op: ClaimsConfirmOp) => Effect[]],
  [claimsRelease, ofClaim('claim_released') satisfies (op: ClaimsReleaseOp) => Effect[]],
  [claimsExtend, ofClaim('claim_extended') satisfies (op: ClaimsExtendOp) => Effect[]],
  [claimsReturn, ofClaim('claim_returned') satisfies (op: ClaimsReturnOp) => Effect[]],
]);

/** Whether answers of the script can be missed by anybody. */
export function hasEffects(script: ScriptInfo): boolean {
  return EFFECTS.has(script);
}

export function effectsOf(script: ScriptInfo, op: unknown): Effect[] {
  return EFFECTS.get(script)?.(op as never) ?? [];
}

const [HOLD, CLAIM, ID_RECORD] = [1, 2, 3];
/** States of records (docs/protocol.md) as bits. */
const [HELD, CONFIRMED, RELEASED, EXPIRED, RETURNED] = [2, 4, 8, 16, 32];
const ANY = HELD | CONFIRMED | RELEASED | EXPIRED | RETURNED;
const SOLD = CONFIRMED | RETURNED;

/** Where it shows whether an effect is there: the kind of record, and the states in which the answer is still true. */
export function traceOf(kind: EventName): { readonly look: number; readonly states: number } {
  switch (kind) {
    case 'restocked':
    case 'adjusted':
    case 'deducted':
      return { look: ID_RECORD, states: 0 };
    case 'confirmed':
    case 'returned':
      return { look: HOLD, states: SOLD };
    case 'released':
      return { look: HOLD, states: RELEASED | EXPIRED };
    case 'claim_confirmed':
    case 'claim_returned':
      return { look: CLAIM, states: SOLD };
    case 'claim_released':
      return { look: CLAIM, states: RELEASED | EXPIRED };
    case 'claim_sealed':
    case 'claim_extended':
      return { look: CLAIM, states: ANY };
    default:
      return { look: HOLD, states: ANY };
  }
}
