/**
 * The numbers among the options: 0 is zero, `Infinity` is no limit.
 *
 * @module
 */

/**
 * Reads an option that is an amount.
 *
 * @param name The option's name, for the error.
 * @param unit What it counts, for the error; `""` if the name says it.
 * @throws {RangeError} It is less than 0, or not a number.
 */
export function readAmount(
  name: string,
  amount: number,
  unit = "milliseconds",
): number {
  if (typeof amount === "number" && amount >= 0) return amount;
  const of = unit && ` ${unit}`;
  throw new RangeError(
    `Cannot set ${name}: it must be 0 or more${of}, got ${nameOf(amount)}`,
  );
}

/** A number that is refused; of anything else, such as "60", what it is. */
export function nameOf(amount: unknown): string {
  return typeof amount === "number" ? `${amount}` : typeof amount;
}
