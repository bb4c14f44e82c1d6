/** Every mutant against the checker: a run each, with another seed where the first does not show it. */
import { cpSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { projectRoot } from '../../../stack/project.js';
import { FAULTS } from '../nemesis/index.js';
import type { Fault } from '../nemesis/types.js';
import { runOnce, type RunSummary } from '../run.js';
import { table } from '../table.js';
import { layProgram } from '../world/program.js';
import { type Mutant, MUTANTS } from './list.js';
import { patch } from './patch.js';

export interface MutantsOptions {
  readonly dir: string;
  /** A program to start from; made otherwise. */
  readonly program?: string;
  readonly names?: readonly string[];
  readonly json?: string;
  readonly tries?: number;
  /** How long faults (or the workload alone) go on, and how long the end may take. */
  readonly durationMs?: number;
  readonly patienceMs?: number;
  readonly onProgress?: (line: string) => void;
}

export interface Caught {
  readonly name: string;
  readonly caught: boolean;
  /** Points that saw it. */
  readonly points: readonly number[];
  readonly faults: readonly string[];
  readonly seed: number;
  /** From the first start of the system to the verdict that caught it. */
  readonly seconds: number;
  readonly first: string;
}

const TRIES = 3;
const DURATION_MS = 15_000;
const PATIENCE_MS = 25_000;

function faultsOf(mutant: Mutant): Fault[] {
  return mutant.faults.map((name) => {
    const fault = FAULTS.find((one) => one.name === name);
    if (!fault) throw new Error(`Mutant ${mutant.name} wants the fault ${name}, which does not exist.`);
    return fault;
  });
}

/** A copy of the compiled program; what is not compiled stays a link. */
function copyProgram(from: string, to: string): string {
  rmSync(to, { recursive: true, force: true });
  mkdirSync(to, { recursive: true });
  for (const entry of readdirSync(from))
    if (entry !== 'dist' && !entry.startsWith('.')) symlinkSync(join(projectRoot(), entry), join(to, entry));
  cpSync(join(from, 'dist'), join(to, 'dist'), { recursive: true });
  return to;
}

export async function tryMutant(
  mutant: Mutant,
  options: MutantsOptions & { readonly program: string },
): Promise<Caught> {
  const { dir, tries = TRIES, onProgress } = options;
  const began = performance.now();
  let last: RunSummary | undefined;
  let trouble = '';
  const result = (seed: number): Caught => ({
    name: mutant.name,
    caught: last?.violations.some(({ point }) => mutant.points.includes(point)) ?? false,
    points: [...new Set(last?.violations.map(({ point }) => point))].sort((a, b) => a - b),
    faults: mutant.faults,
    seed,
    seconds: Math.round((performance.now() - began) / 1000),
    first:
      last?.violations.find(({ point }) => mutant.points.includes(point))?.what ?? last?.violations[0]?.what ?? trouble,
  });
  for (let seed = 1; seed <= tries; seed++) {
    const place = join(dir, `${mutant.name}-${seed}`);
    // A kept run before this one left its data there.
    rmSync(place, { recursive: true, force: true });
    const program = copyProgram(options.program, join(place, 'program'));
    await patch(program, mutant.edits);
    try {
      last = await runOnce({
        dir: place,
        seed,
        durationMs: options.durationMs ?? mutant.durationMs ?? DURATION_MS,
        faults: faultsOf(mutant),
        world: { program, replicasPerMaster: mutant.replicas },
        patienceMs: options.patienceMs ?? PATIENCE_MS,
        pauseMs: 20,
        onProgress: (line) => onProgress?.(`${mutant.name}, seed ${seed}: ${line}`),
      });
    } catch (error) {
      // A system that does not start or does not end its test was not caught by the checker.
      trouble = (error as Error).message.split('\n')[0]!;
    }
    const found = result(seed);
    if (found.caught) {
      rmSync(place, { recursive: true, force: true });
      return found;
    }
  }
  return result(tries);
}

/** 0: every one was caught. */
export async function runMutants(options: MutantsOptions): Promise<number> {
  const unknown = options.names?.find((name) => !MUTANTS.some((one) => one.name === name));
  if (unknown !== undefined)
    throw new Error(`There is no mutant ${unknown}. There are: ${MUTANTS.map(({ name }) => name).join(', ')}.`);
  const program = options.program ?? (await layProgram(join(options.dir, 'program')));
  const results: Caught[] = [];
  for (const mutant of MUTANTS.filter(({ name }) => options.names?.includes(name) ?? true)) {
    const found = await tryMutant(mutant, { onProgress: (line) => console.log(line), ...options, program });
    results.push(found);
    console.log(`${found.caught ? 'caught' : 'NOT CAUGHT'}  ${mutant.name} (${mutant.describe}): ${found.first}`);
  }
  const rows = results.map(({ name, caught, points, faults, seed, seconds }) => {
    const where = faults.length === 0 ? 'the workload alone' : faults.join(', ');
    return [name, caught ? 'caught' : 'NOT CAUGHT', points.join(' '), where, seed, seconds];
  });
  console.log(table([['mutant', '', 'points', 'fault', 'seed', 's'], ...rows]));
  if (options.json) writeFileSync(resolve(options.json), JSON.stringify(results, null, 2));
  return results.every(({ caught }) => caught) ? 0 : 1;
}
