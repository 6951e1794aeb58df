/**
 * Makes the edition for Effect 4: `npm run edition:4` writes the package to `editions/effect-4/dist`; with `--tests` also its tests.
 *
 * Each module is translated (`translate.ts`), but where `overlay` has a file of the same path, which stands in its place.
 */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import ts from "typescript"
import { code, documents, withBlocks } from "../../scripts/blocks.js"
import { leftOut } from "./leftOut.js"
import { Translation } from "./translate.js"
import { everywhere, passages, remains } from "./words.js"

const here = path.dirname(fileURLToPath(import.meta.url))
const root = path.join(here, "../..")
const overlay = path.join(here, "overlay")
const target = path.join(here, "dist")

const filesBelow = (folder: string): ReadonlyArray<string> =>
  fs.existsSync(folder) && fs.statSync(folder).isDirectory()
    ? fs.readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
      .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name))).sort()
    : []

const write = (file: string, text: string): void => {
  const full = path.join(target, file)
  fs.mkdirSync(path.dirname(full), { recursive: true })
  fs.writeFileSync(full, text)
}

/** What is translated: the package, its examples, and its tests where they are asked for; what the examples read, and what monitors do, as it is. */
const folders = [
  ...["src/", "examples/", "migrations/", "observability/"],
  ...(process.argv.includes("--tests") ? ["test/", "vitest.config.ts"] : [])
]

const isTranslated = (file: string): boolean => folders.some((folder) => file.startsWith(folder))

/** The sources of the main line, with their types. */
const program = (): ts.Program => {
  const config = ts.getParsedCommandLineOfConfigFile(path.join(root, "tsconfig.json"), {}, {
    ...ts.sys,
    onUnRecoverableConfigFileDiagnostic: (diagnostic) => {
      throw new Error(ts.flattenDiagnosticMessageText(diagnostic.messageText, "\n"))
    }
  })!
  return ts.createProgram(
    config.fileNames.filter((file) => isTranslated(path.relative(root, file))),
    config.options
  )
}

const isLeftOut = (file: string): boolean =>
  Object.keys(leftOut).some((out) => out.endsWith("/") ? file.startsWith(out) : file === out)

/** Code of a document or of an example in a comment, of which no types are known. */
const translatedBlock = (file: string, text: string): string => {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true)
  return new Translation(source, file, undefined, isLeftOut).whole().trimEnd()
}

/** The commands that install the edition. */
const install = /```sh\n([^]*?)\n```/.exec(fs.readFileSync(path.join(root, "docs/effect-4.md"), "utf8"))?.[1] ?? ""
const changes = passages(install)

const read = new Set<string>()

/** A file with the passages that are others in Effect 4. One that is not found is no longer in the file of the main line. */
const withPassages = (file: string, text: string): string => {
  read.add(file)
  return (changes[file] ?? []).reduce((text, [from, to]) => {
    const changed = text.replace(from, () => to)
    if (changed === text) {
      throw new Error(`words.ts: ${file} has no ${from}`)
    }
    return changed
  }, text)
}

const inWords = (text: string): string => everywhere.reduce((text, [from, to]) => text.replace(from, to), text)

/** A source whose comments speak of Effect 4, and whose examples there are written in it. */
const withComments = (file: string, text: string): string => {
  let example = ""
  let isExample = false
  return withPassages(file, text).split("\n").flatMap((line) => {
    const [, indent = "", rest = ""] = /^( *\* ?)(.*)$/.exec(line) ?? []
    if (isExample && indent !== "") {
      if (rest !== "```") {
        example += `${rest}\n`
        return []
      }
      isExample = false
      const star = indent.trimEnd()
      return [...translatedBlock(file, example).split("\n").map((line) => `${star} ${line}`.trimEnd()), line]
    }
    isExample = indent !== "" && rest === "```ts"
    example = ""
    return [/^\s*(?:\/\*\*|\*|\/\/)/.test(line) ? inWords(line) : line]
  }).join("\n")
}

const make = (): void => {
  for (const folder of ["src/", "examples/", "test/"]) {
    fs.rmSync(path.join(target, folder), { recursive: true, force: true })
  }
  const own = new Set(filesBelow(overlay).filter(isTranslated))
  for (const file of own) {
    write(file, fs.readFileSync(path.join(overlay, file), "utf8"))
  }
  // What is no program stands beside it as it is: SQL, keys, pages.
  for (const file of folders.flatMap((folder) => filesBelow(path.join(root, folder)).map((name) => folder + name))) {
    if (!/\.tsx?$/.test(file) && !own.has(file) && !isLeftOut(file)) {
      fs.mkdirSync(path.dirname(path.join(target, file)), { recursive: true })
      fs.copyFileSync(path.join(root, file), path.join(target, file))
    }
  }
  // What runs in browsers has no Effect.
  const browser = "src/internal/http/page/browser/"
  for (const file of filesBelow(path.join(root, browser))) {
    write(browser + file, fs.readFileSync(path.join(root, browser, file), "utf8"))
  }
  const sources = program()
  const checker = sources.getTypeChecker()
  for (const source of sources.getSourceFiles()) {
    const file = path.relative(root, source.fileName)
    if (isTranslated(file) && !own.has(file) && !isLeftOut(file)) {
      const translated = new Translation(source, file, checker, isLeftOut).whole()
      write(file, file.startsWith("test/") ? translated : withComments(file, translated))
    }
  }
}

/** The examples in comments of the sources, as files that import the package. */
const writeExamples = (): void => {
  const folder = path.join(target, "blocks")
  fs.rmSync(folder, { recursive: true, force: true })
  for (const file of filesBelow(path.join(target, "src")).filter((file) => file.endsWith(".ts"))) {
    const comments = fs.readFileSync(path.join(target, "src", file), "utf8").matchAll(
      /^ *\* ```ts\n([^]*?)^ *\* ```$/gm
    )
    for (const [index, [, text = ""]] of [...comments].entries()) {
      write(`blocks/${file.replaceAll("/", "-").replace(/\.ts$/, "")}.${index}.ts`, text.replaceAll(/^ *\* ?/gm, ""))
    }
  }
}

/** The edition's `package.json`: that of the main line, with the peers of Effect 4. */
const manifest = (): void => {
  // Both are files of this repository.
  const main = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8")) as Record<string, unknown>
  const own = JSON.parse(fs.readFileSync(path.join(here, "package.json"), "utf8")) as {
    readonly dependencies: Readonly<Record<string, string>>
  }
  const exports = Object.fromEntries(
    Object.entries(main.exports as Record<string, { readonly types?: string } | null>).filter(([, entry]) => {
      const types = entry?.types
      return types === undefined || !isLeftOut(types.replace("./dist/", "src/").replace(".d.ts", ".ts"))
    })
  )
  const peers: Readonly<Record<string, string>> = {
    ...Object.fromEntries(
      Object.entries(main.peerDependencies as Record<string, string>)
        .filter(([name]) => !name.startsWith("@effect/") && name !== "effect")
    ),
    // Its SQL modules are marked unstable: a minor version may change them.
    effect: "~4.1.0",
    "@effect/platform-node": "~4.1.0",
    "@effect/sql-pg": "^4.0.5",
    vitest: "^5.0.0"
  }
  const written = {
    name: main.name,
    version: "1.0.0-next.0",
    description: main.description,
    keywords: main.keywords,
    license: main.license,
    type: "module",
    sideEffects: false,
    engines: { node: ">=22.19" },
    exports,
    bin: main.bin,
    files: main.files,
    // `latest` is the main line.
    publishConfig: { tag: "next" },
    peerDependencies: peers,
    // Each belongs to a database, a test or a format; what every program needs is Effect.
    peerDependenciesMeta: Object.fromEntries(
      Object.keys(peers).filter((name) => name !== "effect").map((name) => [name, { optional: true }])
    ),
    dependencies: own.dependencies
  }
  write("package.json", `${JSON.stringify(written, null, 2)}\n`)
  fs.copyFileSync(path.join(root, "LICENSE"), path.join(target, "LICENSE"))
}

/** Documents that tell of both editions. */
const bothEditions: ReadonlySet<string> = new Set(["CHANGELOG.md", "docs/effect-4.md"])

/** The documents, whose code is that of the translated examples. */
const writeDocuments = (): void => {
  for (const file of [...documents.filter((file) => file !== "CONTRIBUTING.md"), "CHANGELOG.md"]) {
    const text = withBlocks(file, (mark, text) => {
      if (mark !== undefined) {
        const reason = leftOut[mark.split("#")[0]!]
        return reason === undefined ? code(mark, pathToFileURL(`${target}/`)) : `// Not in this edition: ${reason}.`
      }
      return translatedBlock(file, text)
    })
    const changed = withPassages(file, text)
    const written = bothEditions.has(file) ? changed : inWords(changed)
    const left = bothEditions.has(file) ? null : remains.exec(written)
    if (left !== null) {
      throw new Error(`words.ts: ${file} speaks of Effect 3: ${left[0]}`)
    }
    write(file, written)
  }
}

/** Formats the sources as those of the main line are; type-checks and compiles them against the edition's own Effect. */
const compile = (): void => {
  const run = (command: string, args: ReadonlyArray<string>) => {
    const { status } = spawnSync(process.execPath, [path.join(root, "node_modules", command), ...args], {
      cwd: here,
      stdio: "inherit"
    })
    if (status !== 0) {
      throw new Error(`${command} ended with ${status ?? "a signal"}`)
    }
  }
  // The formatter applies its changes one after the other: a line that it has broken may be broken again.
  run("eslint/bin/eslint.js", ["--config", "format.config.mjs", "--fix", "dist/src", "dist/examples", "--quiet"])
  run("typescript/bin/tsc", ["-p", "tsconfig.dist.json"])
  run("tsx/dist/cli.mjs", ["../../scripts/page.ts", "dist/dist"])
  if (process.argv.includes("--tests")) {
    // One of them is for this repository's own tests.
    run("typescript/bin/tsc", ["-p", "tsconfig.examples.json"])
    writeExamples()
    run("typescript/bin/tsc", ["-p", "tsconfig.blocks.json"])
  }
}

make()
manifest()
compile()
writeDocuments()
const unread = Object.keys(changes).filter((file) => !read.has(file))
if (unread.length > 0) {
  throw new Error(`words.ts: the edition has no ${unread.join(", ")}`)
}
