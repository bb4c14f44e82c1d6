/** Bearer tokens: everything a forger tries, and that a remembered token is forgotten in time. (G1) */
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, SignJWT, UnsecuredJWT } from 'jose';
import t from 'tap';
import { Authenticator } from '../../../server/auth/authenticate.js';
import type { Caller } from '../../../server/auth/caller.js';
import { createVerifier } from '../../../server/auth/verify.js';
import { Problem } from '../../../server/http/problems.js';

const SECRET = 'a-secret-of-thirty-two-bytes-or-more';
const secretKey = new TextEncoder().encode(SECRET);
const now = Math.floor(Date.now() / 1000);
const good = { role: 'buyer', sub: 'b-1', iss: 'holdfast', aud: 'holdfast', exp: now + 600 };

type Claims = Record<string, unknown>;
const sign = (claims: Claims, header: Claims = {}, key: Uint8Array | KeyObject = secretKey): Promise<string> =>
  new SignJWT(claims).setProtectedHeader({ alg: 'HS256', typ: 'JWT', ...header }).sign(key);

const options = { secret: SECRET, jwksUrl: undefined, issuer: 'holdfast', audience: 'holdfast' };
const verify = createVerifier(options);

async function refusal(token: string, by = verify): Promise<Problem> {
  try {
    await by(token);
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
  throw new Error('the token was accepted');
}

t.test('a good token', async (t) => {
  t.match(await verify(await sign(good)), { sub: 'b-1', role: 'buyer', expiresAt: good.exp * 1000 });
  t.match(await verify(await sign({ ...good, role: undefined, roles: ['buyer', 'admin'] })), { role: 'admin' });
  t.match(await verify(await sign(good, { typ: 'at+jwt' })), { role: 'buyer' });
});

const without = (name: string): Claims => ({ ...good, [name]: undefined });
const forged: [name: string, make: () => Promise<string> | string, why: RegExp][] = [
  ['no algorithm', () => new UnsecuredJWT(good).encode(), /algorithm|malformed/],
  [
    'alg none with a signature',
    async () => `${part({ alg: 'none', typ: 'JWT' })}.${(await sign(good)).split('.')[1]}.AAAA`,
    /algorithm/,
  ],
  ['another algorithm of the family', () => sign(good, { alg: 'HS512' }, new Uint8Array(64)), /algorithm/],
  ['another secret', () => sign(good, {}, new TextEncoder().encode('x'.repeat(32))), /signature/],
  ['another issuer', () => sign({ ...good, iss: 'evil' }), /iss/],
  ['no issuer', () => sign(without('iss')), /iss/],
  ['another audience', () => sign({ ...good, aud: ['other'] }), /aud/],
  ['no audience', () => sign(without('aud')), /aud/],
  ['another type', () => sign(good, { typ: 'dpop+jwt' }), /typ/],
  ['no type', () => sign(good, { typ: undefined }), /typ/],
  ['no end', () => sign(without('exp')), /exp/],
  ['over', () => sign({ ...good, exp: now - 60 }), /expired/],
  ['not yet', () => sign({ ...good, nbf: now + 600 }), /nbf/],
  ['no subject', () => sign(without('sub')), /sub/],
  ['a subject that reaches into a key', () => sign({ ...good, sub: 'a:{b}' }), /sub/],
  ['no role', () => sign(without('role')), /role/],
  ['a role nobody has', () => sign({ ...good, role: 'root' }), /role/],
  ['critical extensions', () => sign(good, { crit: ['x'], x: 1 }), /./],
  ['changed content', async () => changed(await sign(good), { ...good, role: 'admin' }), /signature/],
  ['not a token', () => 'hello', /malformed/],
  ['three empty parts', () => '..', /malformed/],
  ['five parts', () => 'a.b.c.d.e', /malformed/],
];
const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const changed = (token: string, claims: Claims): string => {
  const [header, , signature] = token.split('.');
  return `${header}.${part(claims)}.${signature}`;
};

for (const [name, make, why] of forged) {
  t.test(`refused: ${name}`, async (t) => {
    let token: string;
    try {
      token = await make();
    } catch {
      // The library will not even make such a token: put it together by hand.
      token = `${part({ alg: 'HS256', typ: 'JWT', crit: ['x'], x: 1 })}.${part(good)}.AAAA`;
    }
    const found = await refusal(token);
    t.equal(found.kind.code, 'unauthenticated');
    t.match(found.detail, why);
    t.match(found.headers[0], ['WWW-Authenticate', /^Bearer realm="holdfast", error="invalid_token"/]);
  });
}

t.test('keys of an issuer', async (t) => {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  const jwk = { ...(await exportJWK(publicKey)), kid: 'k1', alg: 'RS256', use: 'sig' };
  let asked = 0;
  const server = createServer((_request, response) => {
    asked += 1;
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys: [jwk] }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const jwksUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`;
  const both = createVerifier({ ...options, jwksUrl });
  const onlyKeys = createVerifier({ ...options, secret: undefined, jwksUrl });
  const rs = { alg: 'RS256', kid: 'k1' };

  t.match(await both(await sign(good, rs, privateKey)), { sub: 'b-1' });
  t.match(await both(await sign(good)), { sub: 'b-1' }, 'the secret goes on working beside them');
  t.match((await refusal(await sign(good, rs, stranger), both)).detail, /signature/);
  t.match(
    (await refusal(await sign(good, { ...rs, kid: '../../etc/passwd' }, privateKey), both)).detail,
    /unknown key/,
  );
  t.match((await refusal(await sign(good), onlyKeys)).detail, /algorithm/, 'HS256 where there is no secret');

  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
  const confused = await sign(good, { kid: 'k1' }, new TextEncoder().encode(pem));
  t.match((await refusal(confused, both)).detail, /signature/, 'the public key is no secret');
  t.match((await refusal(confused, onlyKeys)).detail, /algorithm/);

  const before = asked;
  const hostile = await sign(
    good,
    { ...rs, jku: `${jwksUrl}?evil`, x5u: jwksUrl, jwk: { kty: 'oct', k: 'AAAA' } },
    privateKey,
  );
  t.match(await both(hostile), { sub: 'b-1' }, 'addresses and keys within a token are not looked at');
  t.equal(asked, before);
});

t.test('an issuer that does not answer is not the caller’s fault', async (t) => {
  const away = createVerifier({ ...options, secret: undefined, jwksUrl: 'http://127.0.0.1:9/keys' });
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  t.equal(
    (await refusal(await sign(good, { alg: 'RS256', kid: 'k1' }, privateKey), away)).kind.code,
    'issuer_unavailable',
  );
});

t.test('headers', async (t) => {
  const auth = new Authenticator(verify);
  const code = (header: string): string => {
    try {
      void auth.authenticate(header);
    } catch (error) {
      if (error instanceof Problem) return error.kind.code;
      throw error;
    }
    return 'taken';
  };
  for (const header of ['', 'Basic YTpi', 'Bearer', 'Bearer ', `Bearer ${'x'.repeat(9_000)}`]) {
    t.equal(code(header), 'unauthenticated', header.slice(0, 20));
  }
});

t.test('a token is verified once, and not remembered longer than it is valid', async (t) => {
  let verified = 0;
  let expiresAt = Date.now() + 60_000;
  const auth = new Authenticator(async (token): Promise<Caller> => {
    verified += 1;
    return { sub: token, role: 'buyer', expiresAt };
  });
  const first = auth.authenticate('Bearer one');
  t.ok(first instanceof Promise);
  await first;
  t.notOk(auth.authenticate('Bearer one') instanceof Promise, 'at once');
  t.equal(verified, 1);
  expiresAt = Date.now() - 1;
  await auth.authenticate('Bearer two');
  t.ok(auth.authenticate('bearer two') instanceof Promise, 'verified again');
  t.equal(verified, 3);
});

t.test('a refused token is not remembered', async (t) => {
  const auth = new Authenticator(verify);
  const header = `Bearer ${await sign(good, {}, new Uint8Array(32))}`;
  for (let time = 0; time < 2; time += 1)
    await t.rejects(Promise.resolve(auth.authenticate(header)), { name: 'Problem', message: /signature/ });
  t.match(auth.counts, { hits: 0, misses: 2 });
});
