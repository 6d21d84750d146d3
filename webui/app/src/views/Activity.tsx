export function ActivityView() {
  return <h1 tabIndex={-1}>Activity</h1>;
}
