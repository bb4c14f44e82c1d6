/** `/docs`: the API explorer, from the installed package, so that it works where there is no internet. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { HTTP_PROBLEMS, Problem } from './http/problems.js';
import { route, type Answer, type Route } from './http/route.js';
import type { Exchange } from './http/exchange.js';

/** File → media type; nothing else of the package is served. */
const FILES: Readonly<Record<string, string>> = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
  'favicon-32x32.png': 'image/png',
  'start.js': 'text/javascript; charset=utf-8',
};

const PAGE = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Holdfast API</title>
    <link rel="stylesheet" href="/docs/swagger-ui.css">
    <link rel="icon" href="/docs/favicon-32x32.png">
  </head>
  <body>
    <div id="explorer"></div>
    <script src="/docs/swagger-ui-bundle.js"></script>
    <script src="/docs/start.js"></script>
  </body>
</html>
`;
const START = `window.ui = SwaggerUIBundle({ url: '/openapi.json', dom_id: '#explorer', deepLinking: true, validatorUrl: null });\n`;

/** The explorer sets styles and pictures from within its script; everything else comes from here. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; font-src 'self' data:; frame-ancestors 'none'";
const HEADERS = [
  ['Content-Security-Policy', POLICY],
  ['Cache-Control', 'public, max-age=3600'],
] as const;

interface Asset {
  readonly type: string;
  readonly bytes: Buffer;
  readonly packed: Buffer;
}

export function docsRoutes(): Route[] {
  const assets = new Map<string, Asset>();
  return [
    route({
      method: 'get',
      path: '/docs',
      operationId: 'getDocs',
      tag: 'Operations',
      summary: 'The API explorer.',
      access: 'public',
      answers: { 200: { description: 'A page for people.', types: ['text/html'] } },
      handle: () => ({ status: 200, raw: { type: 'text/html; charset=utf-8', bytes: PAGE }, headers: HEADERS }),
    }),
    route({
      method: 'get',
      path: '/docs/{file}',
      operationId: 'getDocsFile',
      tag: 'Operations',
      summary: 'What the explorer is made of.',
      access: 'public',
      answers: { 200: { description: 'A file.', types: ['text/css', 'text/javascript', 'image/png'] } },
      problems: ['not_found'],
      handle: (x) => {
        const name = x.param(0);
        const type = Object.hasOwn(FILES, name) ? FILES[name] : undefined;
        if (type === undefined) throw new Problem(HTTP_PROBLEMS.not_found, `There is no ${name} here.`);
        let asset = assets.get(name);
        if (asset === undefined) assets.set(name, (asset = load(name, type)));
        return assetAnswer(x, asset);
      },
    }),
  ];
}

/** Read and packed once, when first asked for. */
function load(name: string, type: string): Asset {
  const bytes = name === 'start.js' ? Buffer.from(START) : readFileSync(join(packageFolder(), name));
  return { type, bytes, packed: gzipSync(bytes) };
}

function packageFolder(): string {
  const find = createRequire(import.meta.url)('swagger-ui-dist/absolute-path.js') as () => string;
  return find();
}

function assetAnswer(x: Exchange, { type, bytes, packed }: Asset): Answer {
  const small = x.wantsGzip && packed.length < bytes.length;
  return {
    status: 200,
    raw: { type, bytes: small ? packed : bytes },
    headers: small ? [...HEADERS, ['Content-Encoding', 'gzip']] : HEADERS,
  };
}
