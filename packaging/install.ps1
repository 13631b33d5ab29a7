# Installs client-keystone-auth for Windows from a release folder, which contains the files that `npm run package` writes to
# out/release/. It installs the program only if its SHA-256 matches the one in SHA256SUMS. Both come from the same server, so
# this detects damage and changes in transit, but not a malicious server. To detect that too, use -Sha256.
#
# usage: install.ps1 [-BaseUrl URL] [-Prefix DIR] [-Sha256 SUM]
[CmdletBinding()]
param(
    [string] $BaseUrl = '',
    [string] $Prefix = '',
    [ValidatePattern('^([0-9a-fA-F]{64})?$')] [string] $Sha256 = ''
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
# The progress bar of Windows PowerShell makes downloads many times slower.
$ProgressPreference = 'SilentlyContinue'

$Name = 'client-keystone-auth'
$PluginName = 'kubectl-keystone_auth'
# `npm run package` writes the URL of its release here.
$DefaultUrl = ''

# Allows only https, also after a redirect. http is allowed only to this machine.
function Get-ReleaseFile {
    param([string] $Url, [string] $Path)
    if ($Url -match '@') { throw 'the base URL must not contain a user' }
    $isLocal = $Url -match '^http://(127\.0\.0\.1|localhost)[:/]'
    if (-not ($Url -match '^https://' -or $isLocal)) { throw 'the base URL must start with https://' }
    # Releases redirect to other hosts. Without TLS, no redirect is followed.
    $redirections = if ($isLocal) { 0 } else { 5 }
    try {
        Invoke-WebRequest -Uri $Url -OutFile $Path -UseBasicParsing -MaximumRedirection $redirections
    }
    catch {
        throw "cannot download ${Url}: $($_.Exception.Message)"
    }
}

function Get-Target {
    switch ($env:PROCESSOR_ARCHITECTURE) {
        'AMD64' { return 'win-x64' }
        'ARM64' { return 'win-arm64' }
        default { throw "no program for the processor $env:PROCESSOR_ARCHITECTURE" }
    }
}

function Install-Program {
    $url = if ($BaseUrl -ne '') { $BaseUrl.TrimEnd('/') } else { $DefaultUrl }
    if ($url -eq '') { throw 'set the URL of the release with -BaseUrl' }
    $root = if ($Prefix -ne '') { $Prefix } else { Join-Path $env:LOCALAPPDATA "Programs\$Name" }
    $folder = Join-Path $root 'bin'
    $file = "$Name-$(Get-Target).exe"
    # Windows PowerShell offers only old versions of TLS by default.
    [Net.ServicePointManager]::SecurityProtocol = [Net.ServicePointManager]::SecurityProtocol -bor [Net.SecurityProtocolType]::Tls12
    $download = Join-Path ([IO.Path]::GetTempPath()) ([IO.Path]::GetRandomFileName())
    New-Item -ItemType Directory -Path $download | Out-Null
    try {
        $expected = $Sha256
        if ($expected -eq '') {
            Get-ReleaseFile "$url/SHA256SUMS" (Join-Path $download 'SHA256SUMS')
            $pattern = '^([0-9a-f]{64})  ' + [regex]::Escape($file) + '$'
            foreach ($line in Get-Content (Join-Path $download 'SHA256SUMS')) {
                if ($line -match $pattern) { $expected = $Matches[1] }
            }
            if ($expected -eq '') { throw "no checksum for $file" }
        }
        $program = Join-Path $download "$Name.exe"
        Get-ReleaseFile "$url/$file" $program
        if ((Get-FileHash -Algorithm SHA256 -Path $program).Hash -ne $expected) {
            throw "$file does not have the checksum $expected; nothing is installed"
        }
        $version = & $program --version
        if ($LASTEXITCODE -ne 0) { throw "$file does not run on this machine; nothing is installed" }
        New-Item -ItemType Directory -Force -Path $folder | Out-Null
        foreach ($each in @($Name, $PluginName)) {
            Copy-Item -Force -Path $program -Destination (Join-Path $folder "$each.exe")
        }
        Write-Output "installed $Name $version in $folder"
        if (($env:PATH -split ';') -notcontains $folder) {
            Write-Warning "$folder is not in your PATH; a kubeconfig must name the program by its full path"
        }
    }
    finally {
        Remove-Item -Recurse -Force -Path $download
    }
}

# In a function, so that a partly downloaded script does nothing.
Install-Program
