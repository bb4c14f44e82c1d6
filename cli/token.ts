import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { SignJWT } from 'jose';
import { loadSecrets, runningState } from '../stack/state.js';

export interface TokenClaims {
  role: 'admin' | 'service' | 'buyer';
  /** The subject: a buyer acts as this id. */
  sub: string;
  ttlSeconds: number;
}

/** A JWT (HS256) that the stack of this data folder accepts (G1). Throws when no stack was ever started there. */
export async function signToken(dataDir: string, claims: TokenClaims): Promise<string> {
  const env = runningState(dataDir)?.env ?? {};
  const secret = env.HOLDFAST_JWT_SECRET ?? process.env.HOLDFAST_JWT_SECRET ?? savedSecret(dataDir);
  return new SignJWT({ role: claims.role })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setSubject(claims.sub)
    .setIssuer(env.HOLDFAST_JWT_ISSUER || 'holdfast')
    .setAudience(env.HOLDFAST_JWT_AUDIENCE || 'holdfast')
    .setIssuedAt()
    .setExpirationTime(Math.floor(Date.now() / 1000) + claims.ttlSeconds)
    .sign(new TextEncoder().encode(secret));
}

function savedSecret(dataDir: string): string {
  if (!existsSync(join(dataDir, 'secrets.json')))
    throw new Error(
      `No stack was ever started in ${dataDir}. Start one with ./holdfast up, or name its folder by --data.`,
    );
  return loadSecrets(dataDir).jwtSecret;
}
