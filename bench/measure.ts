/** A comparison carried out: fresh processes, turns, and what failed on the way. */

import type { Comparison, Setting } from "./comparison.ts";
import type { RowSamples } from "./report.ts";
import type { Sample, Team } from "./team.ts";

/**
 * Milliseconds of work before a row's first round, so that its code is compiled. After
 * 500 the whole client made 0.91 of the loop's calls of 1 KiB both ways on Deno, and
 * 0.99 later.
 */
const warmUp = 1_500;

/** A contender that could not be measured: the others were. */
export interface Failure {
  comparison: string;
  contender: string;
  /** The row that it was at; absent if it could not start. */
  row?: string;
  message: string;
}

/** Carries out these comparisons, so many times in fresh processes. */
export async function measureRuns(
  comparisons: Comparison[],
  runs: number,
  failures: Failure[],
): Promise<{ comparison: Comparison; samples: RowSamples[] }[]> {
  const measured = comparisons.map((comparison) => ({
    comparison,
    samples: [] as RowSamples[],
  }));
  for (let run = 1; run <= runs; run++) {
    for (const { comparison, samples } of measured) {
      console.error(`Run ${run} of ${runs}: ${comparison.name}`);
      await measure(comparison, samples, failures);
    }
  }
  return measured;
}

/** Runs a comparison once, and adds its figures to the samples. */
async function measure(
  comparison: Comparison,
  samples: RowSamples[],
  failures: Failure[],
): Promise<void> {
  for (const setting of comparison.settings) {
    await measureSetting(comparison, setting, samples, failures);
  }
}

/** Measures these rows in fresh processes, the contenders by turns within each round. */
async function measureSetting(
  { name, contenders, rounds, milliseconds }: Comparison,
  { start, rows, coldRounds }: Setting,
  samples: RowSamples[],
  failures: Failure[],
) {
  await using teams = new AsyncDisposableStack();
  let turns: { team: Team; contender: string; index: number }[] = [];
  for (const [index, contender] of contenders.entries()) {
    try {
      turns.push({ team: teams.use(await start(contender)), contender, index });
    } catch (error) {
      fail({ contender }, error);
    }
  }
  for (const row of rows) {
    const rowSamples: RowSamples = samples.find((known) => known.row === row) ??
      { row, rounds: [] };
    if (rowSamples.rounds.length === 0) samples.push(rowSamples);
    if (coldRounds === undefined) await round(row, warmUp);
    for (let turn = 0; turn < (coldRounds ?? rounds); turn++) {
      rowSamples.rounds.push(await round(row, milliseconds));
      // The first contender changes, so that a drift of the machine favours nobody.
      turns.reverse();
    }
  }

  async function round(
    row: string,
    milliseconds: number,
  ): Promise<(Sample | undefined)[]> {
    const samples: (Sample | undefined)[] = [];
    for (const { team, contender, index } of turns) {
      try {
        samples[index] = await team.measure({ row, milliseconds });
      } catch (error) {
        // It may be in any state: its rounds so far count, and it is out.
        turns = turns.filter((turn) => turn.team !== team);
        fail({ contender, row }, error);
      }
    }
    return samples;
  }

  function fail(where: Pick<Failure, "contender" | "row">, error: unknown) {
    const message = error instanceof Error ? error.message : String(error);
    failures.push({ comparison: name, ...where, message });
    console.error(message);
  }
}
