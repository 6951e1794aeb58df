/** The examples that the package ships find in it all that they need. */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { packageFolder } from "../kit/packages.js"
import { type Build, buildPackage } from "../kit/project.js"

/** Those that need a server, or do not end by themselves: `test/examples.test.ts` runs them. */
const elsewhere = ["postgres", "drop-in", "mysql", "mssql", "two-families", "http-server"]

let build: Build

beforeAll(async () => {
  build = await buildPackage()
}, 240_000)

describe("the examples of the package", () => {
  it("run from where they are installed", { timeout: 240_000 }, async () => {
    const tsx = path.join(packageFolder("tsx"), "dist/esm/index.mjs")
    const shipped = build.files.flatMap((file) => /^examples\/([\w-]+)\.ts$/.exec(file)?.[1] ?? [])
    assert.includeMembers(shipped, ["first", "migrations", "quickstart", ...elsewhere])
    // The others are the same programs as those that test/examples.test.ts runs: only one that names a file can miss it here.
    const names = shipped.filter((name) => !elsewhere.includes(name)).filter((name) =>
      name === "first" ||
      fs.readFileSync(path.join(build.directory, "examples", `${name}.ts`), "utf8").includes("import.meta.url")
    )
    assert.includeMembers(names, ["first", "migrations"])
    for (const name of names) {
      const folder = fs.mkdtempSync(path.join(os.tmpdir(), "dblive-shipped-"))
      try {
        const said = await new Promise<string | undefined>((resolve) =>
          execFile(
            process.execPath,
            ["--import", tsx, path.join(build.directory, "examples", `${name}.ts`)],
            { cwd: folder, env: { PATH: process.env["PATH"], HOME: folder, NODE_ENV: "development" }, timeout: 60_000 },
            (error, stdout, stderr) => resolve(error === null ? undefined : stdout + stderr)
          )
        )
        assert.isUndefined(said, `${name}: ${said}`)
      } finally {
        fs.rmSync(folder, { recursive: true, force: true })
      }
    }
  })

  it("have the files that their code and the service name", () => {
    for (const file of build.files.filter((file) => /^examples\/.*\.ts$/.test(file))) {
      const text = fs.readFileSync(path.join(build.directory, file), "utf8")
      for (const [, target] of text.matchAll(/new URL\("([^"]+)", import\.meta\.url\)/g)) {
        const place = path.posix.join(path.posix.dirname(file), target!)
        assert.isTrue(
          build.files.some((other) => other === place || other.startsWith(`${place}/`)),
          `${file}: ${place}`
        )
      }
    }
  })
})
