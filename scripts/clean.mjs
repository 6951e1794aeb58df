/** Removes what the build makes. */
import { rmSync } from "node:fs"

for (const made of ["dist", "tsconfig.tsbuildinfo", "coverage"]) {
  rmSync(new URL(`../${made}`, import.meta.url), { recursive: true, force: true })
}
