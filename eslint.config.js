import js from '@eslint/js';
import tseslint from 'typescript-eslint';

/** The arrows of the code run one way; `may not import` lists what stands above or beside. */
const arrows = (files, rooms) => ({
  files,
  rules: {
    'no-restricted-imports': [
      'error',
      {
        patterns: [
          {
            regex: `^(\\.\\./)+(${rooms.join('|')})(/|$)`,
            message: `${files[0].split('/')[0]} may not import ${rooms.join(', ')}: see docs/architecture.md`,
          },
        ],
      },
    ],
  },
});

const size = (lines, perFunction) => ({
  'max-lines': ['error', { max: lines, skipBlankLines: true, skipComments: true }],
  'max-lines-per-function': perFunction
    ? ['error', { max: perFunction, skipBlankLines: true, skipComments: true, IIFEs: true }]
    : 'off',
});

export default tseslint.config(
  {
    ignores: [
      '**/node_modules/',
      'dist/',
      'coverage/',
      '.tap/',
      '.holdfast/',
      'engine/scripts/generated/',
      'web/vendor/',
    ],
  },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      ...size(300, 70),
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      // `${number}` is plain; objects and unknowns in templates stay errors.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      // Implementing an async interface without awaiting is fine.
      '@typescript-eslint/require-await': 'off',
    },
  },
  {
    files: ['**/*.js', '**/*.mjs'],
    languageOptions: { globals: { process: 'readonly', console: 'readonly', URL: 'readonly', Buffer: 'readonly' } },
  },
  { files: ['bench/k6/**'], languageOptions: { globals: { __ENV: 'readonly' } } },
  arrows(['engine/**'], ['server', 'workers', 'cli', 'bench', 'client', 'web', 'stack', 'test', 'tools']),
  arrows(['server/**'], ['workers', 'cli', 'bench', 'client', 'web', 'stack', 'test', 'tools']),
  arrows(['workers/**'], ['server', 'cli', 'bench', 'client', 'web', 'stack', 'test', 'tools']),
  {
    files: ['test/**/*.ts', '**/*.test.ts'],
    rules: {
      ...size(600, 0),
      // tap awaits its subtests itself; assertions on it are not promises to lose.
      '@typescript-eslint/no-floating-promises': [
        'error',
        {
          allowForKnownSafeCalls: [
            {
              from: 'package',
              package: '@tapjs/core',
              name: ['test', 'before', 'teardown', 'beforeEach', 'afterEach'],
            },
            { from: 'package', package: '@tapjs/test', name: ['test'] },
            { from: 'package', package: '@tapjs/after', name: 'teardown' },
            { from: 'package', package: '@tapjs/before', name: 'before' },
          ],
        },
      ],
      '@typescript-eslint/unbound-method': 'off',
      // Rows, bodies and replies are looked at as they come; the assertion on them is the check.
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
    },
  },
);
