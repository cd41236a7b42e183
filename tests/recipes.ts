/**
 * Documents that print parts of programs: `// recipe: a title` to `// end`, each
 * under a section of that title.
 *
 * @module
 */

/** Code without what a formatter decides by the width of the page. */
export function plain(code: string): string {
  return code.replaceAll(/\s+/g, "").replaceAll(/,(?=[)\]}])/g, "");
}

/** The marked parts of a program, by their names. */
export function recipes(program: string): [name: string, code: string][] {
  const marked = /^ *(?:\/\/|#) recipe: ([^\n]+)\n(.*?)^ *(?:\/\/|#) end$/gms;
  return Array.from(program.matchAll(marked), ([, name, code]) => [
    name!,
    plain(code!),
  ]);
}

/** The listings of a document by the titles that they stand under. */
export function listings(document: string): Map<string, string[]> {
  const sections = new Map<string, string[]>();
  for (const section of document.split(/^## /m).slice(1)) {
    const title = section.slice(0, section.indexOf("\n"));
    const codes = Array.from(
      section.matchAll(/^```[a-z]+(?: ignore)?\n(.*?)^```$/gms),
      ([, code]) => plain(code!),
    );
    sections.set(title, codes);
  }
  return sections;
}
