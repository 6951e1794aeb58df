/**
 * Compiles `src` and the workers to plain JavaScript. The peers are published as such, and a loader that rewrites
 * TypeScript on the fly names every closure at run time: that would be measured too.
 */
import { existsSync } from "node:fs"
import { mkdir, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises"
import { dirname, join, relative } from "node:path"
import { fileURLToPath } from "node:url"
import ts from "typescript"

const here = dirname(fileURLToPath(import.meta.url))
const root = dirname(here)

/** The edition for Effect 4, where it was made: `npm run edition:4`. */
export const edition = join(root, "editions", "effect-4", "dist")

/** The folder of the compiled files; git knows nothing of it. */
export const buildFolder = join(here, ".build")

const sources = async (folder: string): Promise<Array<string>> => {
  const entries = await readdir(folder, { withFileTypes: true })
  const found = await Promise.all(entries.map((entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return entry.name === "node_modules" || entry.name[0] === "." ? [] : sources(path)
    return entry.name.endsWith(".ts") && !entry.name.endsWith(".d.ts") ? [path] : []
  }))
  return found.flat()
}

/** Compiles everything anew. Answers the folder of the compiled benchmark. */
export const build = async (): Promise<string> => {
  await rm(buildFolder, { recursive: true, force: true })
  const files = [
    ...await sources(join(root, "src")),
    ...await sources(here),
    ...existsSync(edition) ? await sources(join(edition, "src")) : []
  ]
  await Promise.all(files.map(async (file) => {
    const { outputText } = ts.transpileModule(await readFile(file, "utf8"), {
      fileName: file,
      compilerOptions: {
        target: ts.ScriptTarget.ES2022,
        module: ts.ModuleKind.ESNext,
        verbatimModuleSyntax: true,
        isolatedModules: true,
        inlineSourceMap: true
      }
    })
    const out = join(buildFolder, relative(root, file)).replace(/\.ts$/, ".js")
    await mkdir(dirname(out), { recursive: true })
    await writeFile(out, outputText)
  }))
  // the sources ask for the version of the package they are part of
  await writeFile(join(buildFolder, "package.json"), await readFile(join(root, "package.json")))
  // `effect4/` has packages of its own, found from the compiled files as from their sources
  const own = join(here, "effect4", "node_modules")
  await symlink(own, join(buildFolder, "benchmark", "effect4", "node_modules"), "junction")
  if (existsSync(edition)) {
    const compiled = join(buildFolder, "editions", "effect-4", "dist")
    await writeFile(join(compiled, "package.json"), await readFile(join(edition, "package.json")))
    await symlink(own, join(compiled, "node_modules"), "junction")
  }
  return join(buildFolder, "benchmark")
}
