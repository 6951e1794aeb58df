/**
 * SQLite's process compiled, as users have it: Node starts it in a third of the time that it takes from the sources. The
 * tests start hundreds.
 *
 * - `sqliteProcess()`: a plugin of the test runner's; it has `src/internal/driver/sqlite/process.ts` believe that it lies beside the
 *   compiled file. Programs that tests start as they are (`tsx`) start it from the sources still.
 */
import { build } from "esbuild"
import { rmSync, writeFileSync } from "node:fs"
import * as path from "node:path"
import { pathToFileURL } from "node:url"
import type { Plugin } from "vitest/config"

export const sqliteProcess = (root: string): Plugin => {
  const sources = path.join(root, "src/internal/driver/sqlite")
  // Where better-sqlite3 is found.
  const folder = path.join(root, "node_modules/.cache", `dblive-sqlite-${process.pid}`)
  return {
    name: "sqlite-process",
    async configResolved() {
      await build({
        entryPoints: [path.join(sources, "child.ts")],
        outdir: folder,
        bundle: true,
        platform: "node",
        format: "esm",
        target: "node20",
        external: ["better-sqlite3"],
        logLevel: "error"
      })
      writeFileSync(path.join(folder, "package.json"), "{ \"type\": \"module\" }")
      process.once("exit", () => rmSync(folder, { recursive: true, force: true }))
    },
    transform(code, id) {
      return id === path.join(sources, "process.ts").replaceAll(path.sep, "/")
        ? {
          code: code.replaceAll("import.meta.url", JSON.stringify(pathToFileURL(path.join(folder, "process.js")).href))
        }
        : undefined
    }
  }
}
