/**
 * Checks projects with one version of TypeScript, with and without `skipLibCheck`,
 * and prints what is wrong in them and in the package. What is wrong in other
 * packages' types, or is an option that this version doesn't know, is not theirs.
 *
 * Usage: node check.mjs TYPESCRIPT PROJECT/tsconfig.json:FILE,FILE...
 */

import { createRequire } from "node:module";
import { dirname, resolve } from "node:path";

const [name, ...projects] = process.argv.slice(2);
const ts = createRequire(import.meta.url)(name);
/** What is parsed once for all: the libraries of types. */
const parsed = new Map();

for (const project of projects) {
  const [config, files] = project.split(":");
  const { config: json } = ts.readConfigFile(config, ts.sys.readFile);
  const folder = dirname(resolve(config));
  const { options } = ts.parseJsonConfigFileContent(json, ts.sys, folder);
  const roots = files.split(",").map((file) => resolve(folder, file));
  for (const skipLibCheck of [true, false]) {
    const settings = { ...options, skipLibCheck, noEmit: true };
    const host = ts.createCompilerHost(settings);
    const { getSourceFile } = host;
    host.getSourceFile = (file, version, ...rest) => {
      if (!/node_modules/.test(file)) {
        return getSourceFile.call(host, file, version, ...rest);
      }
      // Whether a file is a module may depend on these.
      const key = JSON.stringify([file, version]);
      if (!parsed.has(key)) {
        parsed.set(key, getSourceFile.call(host, file, version, ...rest));
      }
      return parsed.get(key);
    };
    const program = ts.createProgram(roots, settings, host);
    const wrong = program.getSourceFiles()
      .filter(({ fileName }) => !/node_modules\/(?!@jsonrpcws)/.test(fileName))
      .flatMap((file) => [
        ...program.getSyntacticDiagnostics(file),
        ...program.getSemanticDiagnostics(file),
      ]);
    console.log(
      `${config} skipLibCheck ${skipLibCheck}: ${wrong.length || "ok"}`,
    );
    for (const { file, start, code, messageText } of wrong) {
      const line = file?.getLineAndCharacterOfPosition(start).line + 1;
      const text = ts.flattenDiagnosticMessageText(messageText, "\n");
      console.log(`${file?.fileName}:${line} TS${code} ${text}`);
    }
  }
}
