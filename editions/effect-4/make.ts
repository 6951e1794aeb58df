/**
 * Makes the edition for Effect 4: `npm run edition:4` writes the package to `editions/effect-4/dist`.
 *
 * Each module of `src` is translated (`translate.ts`), but where `overlay` has a file of the same path, which stands in its place.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import ts from "typescript"
import { leftOut } from "./leftOut.js"
import { Translation } from "./translate.js"

const here = path.dirname(fileURLToPath(import.meta.url))
const root = path.join(here, "../..")
const overlay = path.join(here, "overlay")
const target = path.join(here, "dist")

const filesBelow = (folder: string): ReadonlyArray<string> =>
  fs.existsSync(folder)
    ? fs.readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
      .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name))).sort()
    : []

const write = (file: string, text: string): void => {
  const full = path.join(target, file)
  fs.mkdirSync(path.dirname(full), { recursive: true })
  fs.writeFileSync(full, text)
}

/** The sources of the main line, with their types. */
const program = (): ts.Program => {
  const config = ts.getParsedCommandLineOfConfigFile(path.join(root, "tsconfig.json"), {}, {
    ...ts.sys,
    onUnRecoverableConfigFileDiagnostic: (diagnostic) => {
      throw new Error(ts.flattenDiagnosticMessageText(diagnostic.messageText, "\n"))
    }
  })!
  return ts.createProgram(
    config.fileNames.filter((file) => path.relative(root, file).startsWith("src/")),
    config.options
  )
}

const make = (): void => {
  fs.rmSync(path.join(target, "src"), { recursive: true, force: true })
  const own = new Set(filesBelow(overlay))
  for (const file of own) {
    write(file, fs.readFileSync(path.join(overlay, file), "utf8"))
  }
  const sources = program()
  const checker = sources.getTypeChecker()
  for (const source of sources.getSourceFiles()) {
    const file = path.relative(root, source.fileName)
    if (file.startsWith("src/") && !own.has(file) && !Object.hasOwn(leftOut, file)) {
      write(file, new Translation(source, file, checker).whole())
    }
  }
}

make()
