/** The goods of the example catalogue: what a touring label sells. Invented names throughout. */

export interface Variant {
  handle: string;
  title: string;
  options: [string, string][];
  sku: string;
  hsCode: string;
  origin: string;
}

const ACTS: [string, string][] = [
  ['Nocturne Velvet', 'NVL'],
  ['The Copper Kites', 'TCK'],
  ['Señal Perdida', 'SNP'],
  ['Paper Lanterns', 'PLN'],
  ['Øresund Drift', 'ORD'],
  ['Glass Harbour', 'GLH'],
  ['Mäntyharju', 'MTH'],
  ['Sunday Cartographers', 'SNC'],
  ['Été Électrique', 'ETE'],
  ['Low Tide Radio', 'LTR'],
  ['Halcyon & Rust', 'HLR'],
  ['Ňadra Hills', 'NDH'],
  ['Kilometre Zero', 'KMZ'],
  ['The Understudies', 'UND'],
  ['Brass, Bone & Bellows', 'BBB'],
];

const SIZES = ['XS', 'S', 'M', 'L', 'XL', 'XXL'];
const COLOURS: [string, string][] = [
  ['Black', 'BLK'],
  ['Bone, unbleached', 'BNE'],
  ['Forest', 'FOR'],
];

interface Good {
  title: (act: string) => string;
  code: string;
  options: [string, [string, string][]][];
  hsCode: string;
  origin: string;
}

const sizes: [string, [string, string][]] = ['Size', SIZES.map((size) => [size, size])];
const plain = (code: string, hsCode: string, origin: string, title: Good['title']): Good => ({
  title,
  code,
  options: [['Title', [['Default Title', '']]]],
  hsCode,
  origin,
});

const GOODS: Good[] = [
  {
    title: (act) => `${act} Tour Tee`,
    code: 'TEE',
    options: [['Colour', COLOURS], sizes],
    hsCode: '6109.10',
    origin: 'PT',
  },
  {
    title: (act) => `${act} Longsleeve`,
    code: 'LSL',
    options: [['Colour', COLOURS.slice(0, 2)], sizes],
    hsCode: '6109.10',
    origin: 'PT',
  },
  {
    title: (act) => `${act} Hoodie, heavyweight`,
    code: 'HOD',
    options: [['Colour', COLOURS], sizes],
    hsCode: '6110.20',
    origin: 'PT',
  },
  {
    title: (act) => `${act} Crewneck`,
    code: 'CRW',
    options: [['Colour', COLOURS], sizes],
    hsCode: '6110.20',
    origin: 'PT',
  },
  {
    title: (act) => `${act} Coach Jacket`,
    code: 'JKT',
    options: [['Colour', COLOURS.slice(0, 2)], sizes],
    hsCode: '6201.40',
    origin: 'TR',
  },
  {
    title: (act) => `${act} Socks`,
    code: 'SCK',
    options: [
      ['Colour', COLOURS],
      [
        'Size',
        [
          ['36–40', '3640'],
          ['41–46', '4146'],
        ],
      ],
    ],
    hsCode: '6115.95',
    origin: 'TR',
  },
  {
    title: (act) => `${act} "Afterglow" 12" LP`,
    code: 'LP12',
    options: [
      [
        'Pressing',
        [
          ['Black', 'BLK'],
          ['Clear', 'CLR'],
          ['Splatter, signed', 'SIG'],
        ],
      ],
    ],
    hsCode: '8523.80',
    origin: 'CZ',
  },
  {
    title: (act) => `${act} 7" Single`,
    code: 'S07',
    options: [
      [
        'Side',
        [
          ['A/B', 'AB'],
          ['Instrumental', 'INS'],
        ],
      ],
    ],
    hsCode: '8523.80',
    origin: 'CZ',
  },
  {
    title: (act) => `${act} Poster`,
    code: 'PST',
    options: [
      [
        'Format',
        [
          ['50 × 70 cm', '5070'],
          ['18" × 24"', '1824'],
          ['A2', 'A2'],
        ],
      ],
    ],
    hsCode: '4911.91',
    origin: 'NL',
  },
  {
    title: (act) => `${act} Songbook\n(piano, voice & guitar)`,
    code: 'SNG',
    options: [
      [
        'Cover',
        [
          ['Hard', 'HRD'],
          ['Soft', 'SFT'],
        ],
      ],
    ],
    hsCode: '4904.00',
    origin: 'DE',
  },
  { title: (act) => `${act} Cap`, code: 'CAP', options: [['Colour', COLOURS]], hsCode: '6505.00', origin: 'BD' },
  { title: (act) => `${act} Beanie`, code: 'BNI', options: [['Colour', COLOURS]], hsCode: '6505.00', origin: 'PT' },
  { title: (act) => `${act} Tote Bag`, code: 'TOT', options: [['Colour', COLOURS]], hsCode: '4202.22', origin: 'IN' },
  {
    title: (act) => `${act} Patch Set`,
    code: 'PCH',
    options: [
      [
        'Set',
        [
          ['Tour', 'TR'],
          ['Archive', 'AR'],
        ],
      ],
    ],
    hsCode: '5810.92',
    origin: 'CN',
  },
  plain('CD', '8523.49', 'CZ', (act) => `${act} "Afterglow" CD`),
  plain('CAS', '8523.29', 'GB', (act) => `${act} Cassette`),
  plain('MUG', '6912.00', 'PL', (act) => `${act} Mug`),
  plain('PIN', '7117.19', 'CN', (act) => `${act} Enamel Pin`),
  plain('KEY', '7326.90', 'CN', (act) => `${act} Keyring`),
  plain('LAN', '6307.90', 'CN', (act) => `${act} Lanyard`),
  plain('PIC', '9209.94', 'DE', (act) => `${act} Plectrums, 6 pcs`),
  plain('STK', '4821.10', 'NL', (act) => `${act} Sticker Sheet`),
  plain('BOT', '7323.93', 'CN', (act) => `${act} Bottle 0.5 l`),
  plain('SCF', '6117.10', 'TR', (act) => `${act} Scarf`),
  plain('PZL', '9503.00', 'PL', (act) => `${act} Puzzle, 1,000 pcs`),
];

/** Marks off, so that "Été" gives a handle that a shop would have. */
function handleOf(title: string): string {
  const plainText = title.normalize('NFD').replace(/\p{M}/gu, '').replace(/Ø/g, 'O').replace(/ø/g, 'o');
  return plainText
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '');
}

function combine(options: Good['options']): [string, string, string][][] {
  return options.reduce<[string, string, string][][]>(
    (rows, [name, values]) =>
      rows.flatMap((row) => values.map(([value, code]) => [...row, [name, value, code] as [string, string, string]])),
    [[]],
  );
}

/** Every variant of every act, in the order of the file. */
export function variants(): Variant[] {
  return ACTS.flatMap(([act, actCode]) =>
    GOODS.flatMap((good) => {
      const title = good.title(act);
      return combine(good.options).map((choice) => ({
        handle: handleOf(title),
        title,
        options: choice.map(([name, value]) => [name, value] as [string, string]),
        sku: [actCode, good.code, ...choice.map(([, , code]) => code).filter((code) => code !== '')].join('-'),
        hsCode: good.hsCode,
        origin: good.origin,
      }));
    }),
  );
}
