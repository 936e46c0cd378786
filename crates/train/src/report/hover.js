// Shows the numbers of a chart under the pointer.
const tip = document.getElementById("tip");
for (const svg of document.querySelectorAll(".chart svg")) {
  const lines = [...svg.querySelectorAll(".line")].map((g) => ({
    g,
    points: g.dataset.points.split(";").filter(Boolean).map((p) => p.split(",")),
  }));
  const rule = document.createElementNS("http://www.w3.org/2000/svg", "path");
  rule.setAttribute("class", "rule");
  svg.append(rule);
  svg.addEventListener("pointermove", (event) => {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    const nearest = (points) =>
      points.reduce((best, p) => (Math.abs(p[0] - at.x) < Math.abs(best[0] - at.x) ? p : best));
    const found = lines.filter((l) => l.points.length).map((l) => ({ ...l, p: nearest(l.points) }));
    if (!found.length) return;
    const first = found.reduce((a, b) => (Math.abs(b.p[0] - at.x) < Math.abs(a.p[0] - at.x) ? b : a)).p;
    rule.setAttribute("d", `M${first[0]} 12V210`);
    tip.replaceChildren(document.createTextNode(`${svg.dataset.over} ${first[2]}`));
    for (const { g, p } of found.filter(({ p }) => p[0] === first[0]).sort((a, b) => a.p[1] - b.p[1])) {
      const row = document.createElement("div");
      row.className = g.getAttribute("class").replace("line ", "");
      const value = document.createElement("b");
      value.textContent = p[3];
      row.append(value, ` ${g.dataset.name}`);
      tip.append(row);
    }
    tip.hidden = false;
    const left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8);
    tip.style.transform = `translate(${left}px, ${Math.max(event.clientY - tip.offsetHeight - 12, 4)}px)`;
  });
  svg.addEventListener("pointerleave", () => {
    tip.hidden = true;
    rule.removeAttribute("d");
  });
}
