/**
 * Bearer tokens (G1). A token names its algorithm, and trusting that name is the classic hole: so each kind of key is
 * tried only with the algorithms written down for it, and `none` is in neither list.
 */
import { createSecretKey } from 'node:crypto';
import {
  createRemoteJWKSet,
  decodeProtectedHeader,
  errors,
  jwtVerify,
  type JWTPayload,
  type JWTVerifyGetKey,
} from 'jose';
import { isId } from '../schemas/ids.js';
import { problem, type Problem } from '../http/problems.js';
import { ROLES, type Caller, type Role } from './caller.js';

export interface VerifierOptions {
  readonly secret: string | undefined;
  readonly jwksUrl: string | undefined;
  readonly issuer: string;
  readonly audience: string;
}

export type Verifier = (token: string) => Promise<Caller>;

const SECRET_ALGORITHMS = ['HS256'];
const KEY_ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];
const TYPES = ['jwt', 'at+jwt'];
/** Clocks of issuer and server may differ by this much. */
const CLOCK_TOLERANCE_SECONDS = 5;

/** 401, with the header RFC 6750 asks for. */
export function unauthenticated(why: string): Problem {
  const described = why.replaceAll('"', "'");
  return problem('unauthenticated', why, undefined, [
    ['WWW-Authenticate', `Bearer realm="holdfast", error="invalid_token", error_description="${described}"`],
  ]);
}

export function createVerifier(options: VerifierOptions): Verifier {
  const secret = options.secret === undefined ? undefined : createSecretKey(Buffer.from(options.secret, 'utf8'));
  const keys: JWTVerifyGetKey | undefined =
    options.jwksUrl === undefined
      ? undefined
      : createRemoteJWKSet(new URL(options.jwksUrl), { timeoutDuration: 3_000 });
  const claims = {
    issuer: options.issuer,
    audience: options.audience,
    requiredClaims: ['exp', 'sub'],
    clockTolerance: CLOCK_TOLERANCE_SECONDS,
  };

  return async (token) => {
    try {
      const algorithm = decodeProtectedHeader(token).alg ?? '';
      if (secret !== undefined && SECRET_ALGORITHMS.includes(algorithm)) {
        const { payload, protectedHeader } = await jwtVerify(token, secret, {
          ...claims,
          algorithms: SECRET_ALGORITHMS,
        });
        return toCaller(payload, protectedHeader.typ);
      }
      if (keys !== undefined && KEY_ALGORITHMS.includes(algorithm)) {
        const { payload, protectedHeader } = await jwtVerify(token, keys, { ...claims, algorithms: KEY_ALGORITHMS });
        return toCaller(payload, protectedHeader.typ);
      }
      throw unauthenticated('the token is signed with an algorithm that is not accepted');
    } catch (error) {
      throw explain(error);
    }
  };
}

function toCaller(payload: JWTPayload, type: string | undefined): Caller {
  if (!TYPES.includes((type ?? '').toLowerCase().replace(/^application\//, ''))) {
    throw unauthenticated('the typ of the token must be JWT or at+jwt');
  }
  const { sub, exp } = payload;
  if (sub === undefined || !isId(sub)) {
    throw unauthenticated('the sub of the token must be 1 to 128 of A-Z a-z 0-9 . _ - ~');
  }
  return { sub, role: roleOf(payload), expiresAt: (exp ?? 0) * 1000 };
}

/** `role`, or the mightiest of `roles`. */
function roleOf(payload: JWTPayload): Role {
  const claimed: unknown[] = Array.isArray(payload['roles']) ? (payload['roles'] as unknown[]) : [payload['role']];
  for (const role of [...ROLES].reverse()) if (claimed.includes(role)) return role;
  throw unauthenticated('the token names no role: buyer, service or admin');
}

function explain(error: unknown): unknown {
  if (error instanceof errors.JWTExpired) return unauthenticated('the token has expired');
  if (error instanceof errors.JWTClaimValidationFailed)
    return unauthenticated(`the ${error.claim} of the token is not accepted`);
  if (error instanceof errors.JWKSTimeout) return problem('issuer_unavailable');
  if (error instanceof errors.JWSSignatureVerificationFailed) return unauthenticated('the signature does not match');
  if (error instanceof errors.JWKSNoMatchingKey) return unauthenticated('the token is signed with an unknown key');
  if (error instanceof errors.JOSEError) {
    // The plain base class is what a key set that cannot be fetched is reported as.
    return error.code === 'ERR_JOSE_GENERIC'
      ? problem('issuer_unavailable')
      : unauthenticated('the token is malformed');
  }
  if (error instanceof TypeError) {
    return isFetchFailure(error) ? problem('issuer_unavailable') : unauthenticated('the token is malformed');
  }
  return error;
}

const isFetchFailure = (error: TypeError): boolean => error.message === 'fetch failed';
