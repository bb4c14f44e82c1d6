import { createSecretKey } from 'node:crypto';
import { SignJWT } from 'jose';

/** Longer than any demo takes. */
const TOKEN_SECONDS = 3_600;
const AT_ONCE = 500;

export type Role = 'admin' | 'buyer';

/** Signs tokens (HS256) as the issuer of this stack would. 10,000 take half a second. (G1) */
export class TokenMaker {
  private readonly key;
  private readonly issuer: string;
  private readonly audience: string;

  /** `env`: the HOLDFAST_* of the running stack. */
  constructor(env: Readonly<Record<string, string>>) {
    const secret = env.HOLDFAST_JWT_SECRET;
    if (!secret) throw new Error('The running stack has no HOLDFAST_JWT_SECRET: the demo cannot make tokens for it.');
    this.key = createSecretKey(Buffer.from(secret));
    this.issuer = env.HOLDFAST_JWT_ISSUER || 'holdfast';
    this.audience = env.HOLDFAST_JWT_AUDIENCE || 'holdfast';
  }

  async sign(role: Role, sub: string): Promise<string> {
    return new SignJWT({ role })
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
      .setSubject(sub)
      .setIssuer(this.issuer)
      .setAudience(this.audience)
      .setIssuedAt()
      .setExpirationTime(Math.floor(Date.now() / 1000) + TOKEN_SECONDS)
      .sign(this.key);
  }

  /** One token each, in the order of the ids. */
  async signAll(role: Role, subs: readonly string[]): Promise<string[]> {
    const tokens: string[] = [];
    for (let i = 0; i < subs.length; i += AT_ONCE)
      tokens.push(...(await Promise.all(subs.slice(i, i + AT_ONCE).map((sub) => this.sign(role, sub)))));
    return tokens;
  }
}
